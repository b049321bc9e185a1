"""Levels as data: a grid, a depth, how to come there and how to train there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from refmg.architecture import Architecture
from refmg.calibration import check_control_times
from refmg.galerkin import check_coarse_grid
from refmg.grid_change import GridChange
from refmg.multilevel.depth_change import check_depth_change, deeper
from refmg.multilevel.settings import (
    Settings,
    check_settings,
    settings_as_dict,
    settings_from_dict,
    with_iterations,
)
from refmg.multilevel.time_matrix import INTERPOLATIONS, TIME_NODES
from refmg.network_transfer import NEEDS_IMAGES, network_transfer_names
from refmg.optimization import TrainingSettings
from refmg.optimization.numbers import is_whole
from refmg.stencil_maps import CALIBRATED, SYNTHETIC, named_map, stencil_transfer_names
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of

# Levels written before these existed lack them; the defaults are what those levels were.
ADDED_SINCE_FIRST = {"time_nodes"}


@dataclass(frozen=True)
class Level:
    """One level of a multilevel run.

    Parameters
    ----------
    shape : tuple of int
        Cells of its images.
    layers : int, optional
        Its number N of time steps; that of the level before by default.
    iterations : int, optional
        Of block coordinate descent, or epochs of SGD or Adam; those of `settings` by default.
    transfer : str
        How stencils and classifier come to this grid, see :func:`refmg.transfer_network`.
    transfer_steps : int
        In how many equal steps they come.
    time_interpolation : {"linear", "cubic", "constant"}
        How stencils and biases come to this depth, see :func:`refmg.multilevel.time_matrix`.
    control_nodes : int, optional
        Number of controls in time, see :func:`refmg.multilevel.deeper`.
    settings : TrainingSettings, StochasticSettings or MultiscaleSettings
        How to train: block coordinate descent; SGD or Adam; or either with multiscale gradients.
    transfer_images : int
        Training images, without labels, for transfers that look at images.
    time_nodes : {"left", "cell-centred"}
        Where in its step a control stands, see :func:`refmg.multilevel.time_matrix`.

    Raises
    ------
    RefmgError
        If a number is not positive or a name unknown.

    Examples
    --------
    >>> coarse, fine = Level((14, 14), 2, iterations=5), Level((28, 28), 4)
    >>> fine.settings.iterations, Level.from_dict(coarse.as_dict()) == coarse
    (20, True)
    """

    shape: Shape
    layers: int | None = None
    iterations: int | None = None
    transfer: str = "linear"
    transfer_steps: int = 1
    time_interpolation: str = "linear"
    control_nodes: int | None = None
    settings: Settings = field(default_factory=TrainingSettings)
    transfer_images: int = 500
    time_nodes: str = "left"

    def __post_init__(self) -> None:
        """Refuse what is no level; let `iterations` and `settings` agree."""
        self._check_numbers()
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if self.transfer not in network_transfer_names():
            raise RefmgError(one_of("transfer", self.transfer, network_transfer_names()))
        if self.time_interpolation not in INTERPOLATIONS:
            raise RefmgError(one_of("interpolation in time", self.time_interpolation, INTERPOLATIONS))
        if self.time_nodes not in TIME_NODES:
            raise RefmgError(one_of("nodes in time", self.time_nodes, TIME_NODES))
        settings, iterations = with_iterations(self.settings, self.iterations)
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "iterations", iterations)

    def _check_numbers(self) -> None:
        if not np.iterable(self.shape) or not all(is_whole(n) for n in self.shape):
            raise RefmgError(
                f"found a level of {self.shape} cells; expected a whole number an axis: (14, 14)"
            )
        for name in ("layers", "transfer_steps", "control_nodes", "transfer_images"):
            found = getattr(self, name)
            if found is not None and not (is_whole(found) and found >= 1):
                raise RefmgError(f"found a level with {name} = {found}; expected a whole number, 1 or more")
        if self.iterations is not None and not is_whole(self.iterations):
            raise RefmgError(f"found a level with iterations = {self.iterations}; expected a whole number")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {"shape": list(self.shape), "settings": settings_as_dict(self.settings)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Level:
        """Return the level that :meth:`as_dict` described.

        Raises
        ------
        RefmgError
            If an entry is missing, unknown or out of range.
        """
        names = {f.name for f in fields(cls)}
        if not names - ADDED_SINCE_FIRST <= set(values) <= names:
            raise RefmgError(f"found a level with {sorted(values)}; expected exactly {sorted(names)}")
        return cls(**{**values, "settings": settings_from_dict(values["settings"])})

    def architecture(self, before: Architecture) -> Architecture:
        """Return the architecture on this level, from that of the level before.

        Raises
        ------
        RefmgError
            If one grid does not divide the other, neither number of controls is a multiple of the other,
            stencils do not close under the transfer, or the settings do not suit the architecture.
        """
        after = deeper(before.on(self.shape), self.layers or before.layers, self.control_nodes)
        check_depth_change(before, after, self.time_interpolation, self.time_nodes)
        check_settings(self.settings, after)
        if after.shape != before.shape:
            for change in GridChange.between(before.shape, after.shape).split(self.transfer_steps):
                self._check_transfer(before, change)
        return after

    def _check_transfer(self, a: Architecture, change: GridChange) -> None:
        d = len(a.shape)
        if self.transfer in (CALIBRATED, SYNTHETIC):
            check_control_times(a)
        for width in {a.width, a.opening_width}:
            check_coarse_grid(change.coarse, (width,) * d)
            if self.transfer in stencil_transfer_names() and self.transfer not in NEEDS_IMAGES:
                named_map(self.transfer, width, d, change.factor)


def architectures(start: Architecture, levels: Sequence[Level]) -> list[Architecture]:
    """Return the architecture of every level, from that of the first.

    Parameters
    ----------
    start : Architecture
        Of the network at the start.
    levels : sequence of Level
        In the order in which they are trained.

    Returns
    -------
    list of Architecture

    Raises
    ------
    RefmgError
        If there is no level, the first one is not where the network starts, or one does not fit the next.

    Examples
    --------
    >>> levels = [Level((7, 7), 2), Level((14, 14), 2), Level((14, 14), 4)]
    >>> [(a.shape, a.layers) for a in architectures(Architecture((7, 7), layers=2), levels)]
    [((7, 7), 2), ((14, 14), 2), ((14, 14), 4)]
    """
    if not levels:
        raise RefmgError("found no level; expected one or more")
    first = levels[0].architecture(start) if levels[0].shape == start.shape else None
    if first != start:
        raise RefmgError(
            f"found a network on {start.shape} cells with {start.layers} layers, and a first level of "
            f"{levels[0].shape} cells with {levels[0].layers} layers; expected the network of the first level"
        )
    found = [start]
    for number, level in enumerate(levels[1:], start=1):
        try:
            found.append(level.architecture(found[-1]))
        except RefmgError as error:
            raise type(error)(f"level {number} does not follow level {number - 1}: {error}") from error
    return found
