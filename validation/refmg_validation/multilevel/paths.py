"""Ways to train one network: as many levels as one likes, and where they start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refmg import Architecture
from refmg.multilevel import Level, architectures
from refmg.multilevel.settings import last_number
from refmg.transfer import Shape
from refmg_backends import RefmgError
from refmg_validation.multilevel.presets import LevelsPreset

PROLONGED, SHORT, RANDOM = "prolonged", "prolonged, short", "random"
FINE, COARSE_TO_FINE, SHALLOW_TO_DEEP, BOTH = "fine only", "coarse to fine", "shallow to deep", "both at once"


@dataclass(frozen=True)
class TrainingPath:
    """A name, a first architecture and levels."""

    name: str
    start: Architecture
    levels: tuple[Level, ...]

    @property
    def file(self) -> str:
        """The name of its file, without ending."""
        return self.name.replace(", ", "-").replace(" ", "-")

    @property
    def architectures(self) -> list[Architecture]:
        """The architecture on every level."""
        return architectures(self.start, self.levels)

    @property
    def sizes(self) -> dict[str, int]:
        """Records of each level, by its name."""
        return {
            level_name(a.shape, a.layers): last_number(level.settings) + 1
            for a, level in zip(self.architectures, self.levels, strict=True)
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        levels = [level.as_dict() for level in self.levels]
        return {"name": self.name, "start": self.start.as_dict(), "levels": levels}


def level_name(shape: tuple[int, ...] | list[int], layers: int) -> str:
    """Return how a level is called.

    Examples
    --------
    >>> level_name((14, 14), 4)
    '14 x 14, 4 layers'
    """
    return f"{' x '.join(map(str, shape))}, {layers} layers"


def depth_paths(preset: LevelsPreset, shape: Shape, classes: int) -> list[TrainingPath]:
    """Return the paths of Figure 2: prolonged, prolonged with few iterations, and random at every depth.

    At the first depth the prolonged path starts at random itself.
    """
    grid = coarsened(shape, preset.factors[0])
    grids = [grid] * len(preset.depths)

    def path(name: str, depths: tuple[int, ...], iterations: int) -> TrainingPath:
        return _path(name, preset, list(zip(grids, depths, strict=False)), iterations, classes)

    full = preset.training.iterations
    found = [path(PROLONGED, preset.depths, full)]
    found += [path(SHORT, preset.depths, preset.short)] if preset.short else []
    return found + [path(f"{RANDOM} {n}", (n,), full) for n in preset.depths[1:]]


def pyramid_paths(preset: LevelsPreset, shape: Shape, classes: int) -> list[TrainingPath]:
    """Return paths to the same finest and deepest network, over resolutions once a transfer."""
    grids, depths = [coarsened(shape, factor) for factor in preset.factors], preset.depths
    iterations = preset.training.iterations

    def path(name: str, pairs: list[tuple[Shape, int]], transfer: str = "linear") -> TrainingPath:
        return _path(name, preset, pairs, iterations, classes, transfer)

    found = [
        path(FINE, [(grids[-1], depths[-1])]),
        path(SHALLOW_TO_DEEP, [(grids[-1], depth) for depth in depths]),
    ]
    for transfer in preset.transfers:
        coarse_to_fine = [(grid, depths[-1]) for grid in grids]
        both = list(zip(grids, depths, strict=True))
        found.append(path(f"{COARSE_TO_FINE}, {transfer}", coarse_to_fine, transfer))
        found.append(path(f"{BOTH}, {transfer}", both, transfer))
    return found


def _path(
    name: str,
    preset: LevelsPreset,
    pairs: list[tuple[Shape, int]],
    iterations: int,
    classes: int,
    transfer: str = "linear",
) -> TrainingPath:
    (shape, layers), base = pairs[0], preset.base
    start = Architecture(
        shape, channels=base.channels, layers=layers, final_time=base.final_time, classes=classes
    )
    levels = [Level(grid, depth, iterations, transfer, settings=base.training) for grid, depth in pairs]
    return TrainingPath(name, start, tuple(levels))


def coarsened(shape: Shape, factor: int) -> Shape:
    """Return the grid that is coarser by a factor.

    Raises
    ------
    RefmgError
        If it does not divide the grid.
    """
    if any(n % factor for n in shape):
        raise RefmgError(f"found images of {shape} cells; expected multiples of {factor} on every axis")
    return tuple(n // factor for n in shape)
