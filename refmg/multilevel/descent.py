"""Coarse to fine and shallow to deep: solve, prolong, go on (paper, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from refmg.architecture import Architecture
from refmg.batches import Batches
from refmg.evaluation import Evaluation
from refmg.grid_change import GridChange
from refmg.losses.labels import as_targets
from refmg.multilevel.depth_change import change_depth
from refmg.multilevel.images import ImagePyramid
from refmg.multilevel.level import Level, architectures
from refmg.multilevel.position import LevelIteration, Position
from refmg.multilevel.settings import common, last_number
from refmg.multilevel.switch import LevelSwitch, Scores, stencil_norms, switch_parts
from refmg.network import Network
from refmg.network_transfer import NEEDS_IMAGES, transfer_network
from refmg.objective import NetworkObjective
from refmg.optimization import (
    Iteration,
    MultiscaleSettings,
    StochasticSettings,
    block_coordinate_descent,
    multiscale_descent,
    stochastic_descent,
)
from refmg_backends import RefmgError


def multilevel_descent(
    start: Network,
    levels: Sequence[Level],
    images: ImagePyramid,
    validation: ImagePyramid | None = None,
    position: Position | None = None,
) -> Iterator[LevelIteration | LevelSwitch]:
    """Train on every level in turn, each from the network that the one before gave.

    Parameters
    ----------
    start : Network
        On the first level.
    levels : sequence of Level
        In any order: coarse to fine, shallow to deep, both at once, and back.
    images : ImagePyramid
        Training images.
    validation : ImagePyramid, optional
        Images on which loss and accuracy are reported as well.
    position : Position, optional
        ``.position`` of what was yielded last, to resume: all that follows is the same, to the last bit, as
        without interruption (on backends that are deterministic). `start` then only gives the architecture.

    Yields
    ------
    LevelIteration or LevelSwitch
        One for every iteration, and one for every switch before the first iteration of the new level.

    Raises
    ------
    RefmgError
        If levels, images and network do not fit, before anything is trained.

    Notes
    -----
    With resolutions alone this is Algorithm 1; with depths alone it is the paper's "From Shallow to Deep
    Networks". Resolution and depth act on different axes of the stencils, so which is moved first makes no
    difference but for rounding (and for transfers that run the network); refmg moves the resolution first.

    Examples
    --------
    >>> import numpy as np
    >>> from refmg import Architecture, random_network
    >>> rng = np.random.default_rng(0)
    >>> images = ImagePyramid(rng.normal(size=(1, 8, 8, 20)), np.arange(20) % 2)
    >>> start = random_network(Architecture((4, 4), channels=2, classes=2), 0, "numpy", "float64")
    >>> levels = [Level((4, 4), iterations=1), Level((8, 8), layers=4, iterations=1)]
    >>> for found in multilevel_descent(start, levels, images):
    ...     a = found.network.architecture
    ...     print(type(found).__name__, a.shape, a.layers, found.position.done)
    LevelIteration (4, 4) 2 0
    LevelIteration (4, 4) 2 1
    LevelSwitch (8, 8) 4 -1
    LevelIteration (8, 8) 4 0
    LevelIteration (8, 8) 4 1
    """
    run = _Run(levels, images, validation)
    here = run.checked(start, position)
    while True:
        for found in run.solve(here):
            yield found
            here = found.position
        if here.level + 1 == len(levels):
            return
        switch = run.switch(here)
        yield switch
        here = switch.position


@dataclass(frozen=True)
class _Run:
    """Levels and images, from which every step follows."""

    levels: Sequence[Level]
    images: ImagePyramid
    validation: ImagePyramid | None

    def checked(self, start: Network, position: Position | None) -> Position:
        """Return where to begin, once everything fits."""
        plan = architectures(start.architecture, self.levels)
        for pyramid in (self.images, self.validation):
            if pyramid is not None:
                for a in plan:
                    pyramid.check(a.shape)
                _check_images(pyramid, start.architecture)
        here = position or Position(0, -1, start)
        found = here.network.architecture
        if not 0 <= here.level < len(plan) or found != plan[here.level]:
            raise RefmgError(
                f"found a position on level {here.level} with {found}; expected one of the {len(plan)} "
                "levels with its architecture: the position belongs to another run"
            )
        return here

    def solve(self, here: Position) -> Iterator[LevelIteration]:
        """Train on one level, from where it stands."""
        level = self.levels[here.level]
        if here.done >= last_number(level.settings):
            return
        for iteration in descend(level, here, self.images):
            yield LevelIteration(here.level, level, iteration, self._validated(iteration.network, level))

    def switch(self, here: Position) -> LevelSwitch:
        """Move the network to the next level, and measure before and after."""
        old, new = self.levels[here.level], self.levels[here.level + 1]
        began = perf_counter()
        moved = moved_to(here.network, new, self.images)
        seconds = perf_counter() - began
        return LevelSwitch(
            number=here.level + 1,
            old=old,
            new=new,
            position=Position(here.level + 1, -1, moved),
            parts=switch_parts(here.network, moved, (old, new)),
            norms=stencil_norms(here.network, moved),
            before=self._scores(here.network, old),
            after=self._scores(moved, new),
            seconds=seconds,
        )

    def _scores(self, network: Network, level: Level) -> Scores:
        return Scores.of(evaluate(network, level, self.images), self._validated(network, level))

    def _validated(self, network: Network, level: Level) -> Evaluation | None:
        return None if self.validation is None else evaluate(network, level, self.validation)


def _check_images(pyramid: ImagePyramid, a: Architecture) -> None:
    """Refuse images that only the end of the first iteration would find not to fit."""
    channels = pyramid.on(pyramid.finest).shape[0]
    if channels != a.in_channels:
        raise RefmgError(
            f"found images of {channels} channels for a network that takes {a.in_channels}; expected as many "
            "of both: give the architecture in_channels"
        )
    as_targets(pyramid.labels, a.classes)


def descend(level: Level, here: Position, images: ImagePyramid) -> Iterator[Iteration]:
    """Train on one level by its optimiser, from a position there."""
    x, labels, settings = images.on(level.shape), images.labels, level.settings
    if isinstance(settings, MultiscaleSettings):
        return multiscale_descent(here.network, x, labels, settings, here.done, here.optimizer)
    if isinstance(settings, StochasticSettings):
        return stochastic_descent(here.network, x, labels, settings, here.done, here.optimizer)
    return block_coordinate_descent(here.network, x, labels, settings, here.done)


def moved_to(network: Network, level: Level, images: ImagePyramid) -> Network:
    """Return the network on another level: first its resolution, then its depth.

    Parameters
    ----------
    network : Network
        On any level.
    level : Level
        Where it shall go.
    images : ImagePyramid
        For transfers that look at images: the first ``level.transfer_images``, without labels. Each of
        several steps sees those of its own two grids, as levels there would.

    Returns
    -------
    Network

    Raises
    ------
    RefmgError
        If the level does not follow.
    """
    old = network.architecture.shape
    changes = GridChange.between(old, level.shape).split(level.transfer_steps) if level.shape != old else []
    for change in changes:
        seen = _seen(level, change, images)
        network = transfer_network(network, change.new, level.transfer, **seen)
    layers = level.layers or network.architecture.layers
    return change_depth(network, layers, level.time_interpolation, level.control_nodes, level.time_nodes)


def _seen(level: Level, change: GridChange, images: ImagePyramid) -> dict[str, Any]:
    """Return the images of both grids for transfers that look at images."""
    if level.transfer not in NEEDS_IMAGES:
        return {}
    fine, coarse = (images.on(shape)[..., : level.transfer_images] for shape in (change.fine, change.coarse))
    return {"images": fine, "coarse_images": coarse}


def evaluate(network: Network, level: Level, images: ImagePyramid) -> Evaluation:
    """Return loss and accuracy of a network on its level's images."""
    s = common(level.settings)
    x, classes = images.on(level.shape), network.architecture.classes
    batches = Batches(x, images.labels, classes, s.batch_size, network.backend, network.dtype)
    objective = NetworkObjective(network, batches, s.regularization, s.loss, s.storage)
    return objective.evaluate(objective.vector(network))
