"""What is trained: stages, each on one grid, that begin at random or where another one ended."""

from __future__ import annotations

from dataclasses import dataclass

from refmg_validation.imagenet10.presets import ImageNetPreset, Way

FINE, COARSE_TO_FINE = "fine only", "coarse to fine"


@dataclass(frozen=True)
class Stage:
    """One training.

    Parameters
    ----------
    name : str
        Unique, and the name of its file.
    size : int
        Cells a side of its images.
    way : Way or None
        How its network comes from that of `before`; None for a random start.
    before : Stage or None
        Where it begins.
    """

    name: str
    size: int
    way: Way | None = None
    before: Stage | None = None

    @property
    def file(self) -> str:
        """The name of its file, without ending."""
        return self.name.replace(" + ", "-").replace(", ", "-").replace(" ", "-")

    def chain(self) -> list[Stage]:
        """Return all stages up to this one, the first one first."""
        return [*(self.before.chain() if self.before else []), self]


def paths_of(preset: ImageNetPreset) -> dict[str, Stage]:
    """Return the last stage of every path, by the path's name.

    Examples
    --------
    >>> from refmg_validation.imagenet10.presets import named
    >>> found = paths_of(named("tiny"))
    >>> list(found)[:3]
    ['fine only', 'unchanged', 'unchanged + BN']
    >>> [stage.name for stage in found["linear + BN"].chain()]
    ['from random, 32', 'linear + BN, 64']
    """
    first = Stage(f"from random, {preset.sizes[0]}", preset.sizes[0])
    paths = {FINE: Stage(f"from random, {preset.sizes[-1]}", preset.sizes[-1])}
    for way in preset.ways:
        stage = first
        for size in preset.sizes[1:]:
            stage = Stage(f"{way.name}, {size}", size, way, stage)
        paths[way.name] = stage
    return paths


def stages_of(preset: ImageNetPreset) -> list[Stage]:
    """Return all stages, each after the one where it begins; those that paths share only once."""
    return list(dict.fromkeys(stage for path in paths_of(preset).values() for stage in path.chain()))
