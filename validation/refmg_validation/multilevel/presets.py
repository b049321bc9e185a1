"""Sizes of the multilevel experiments."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

from refmg.optimization import TrainingSettings
from refmg_backends import RefmgError, one_of
from refmg_validation.presets import PRESETS, Preset, with_choices


@dataclass(frozen=True)
class LevelsPreset:
    """One way to run a multilevel experiment.

    Parameters
    ----------
    base : Preset
        Images, channels, final time and training; its ``layers`` are not used.
    factors : tuple of int
        By which the images are coarsened, one a level.
    depths : tuple of int
        Layers, one a level.
    short : int
        Iterations a level of the path with few of them; 0 for no such path.
    transfers : tuple of str
        Ways between resolutions, each a path of its own.
    """

    base: Preset
    factors: tuple[int, ...]
    depths: tuple[int, ...]
    short: int = 0
    transfers: tuple[str, ...] = ("linear",)

    @property
    def training(self) -> TrainingSettings:
        """How every level is trained."""
        return self.base.training

    def seeded(self, seed: int) -> LevelsPreset:
        """Return the preset with another seed."""
        return replace(self, base=replace(self.base, training=replace(self.training, seed=seed)))

    def with_depths(self, depths: tuple[int, ...]) -> LevelsPreset:
        """Return the preset with other depths, each a multiple of the one before.

        Raises
        ------
        RefmgError
            If they are not.

        Examples
        --------
        >>> DEPTH["paper"].with_depths((2, 4, 8)).depths
        (2, 4, 8)
        """
        pairs = itertools.pairwise(depths)
        if len(depths) < 2 or min(depths) < 1 or any(b <= a or b % a for a, b in pairs):
            raise RefmgError(
                f"found depths {','.join(map(str, depths))}; expected two or more, rising, each a multiple "
                "of the one before, as 2,4,8"
            )
        return replace(self, depths=depths)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        base = {name: value for name, value in self.base.as_dict().items() if name != "layers"}
        own = {"factors": list(self.factors), "depths": list(self.depths), "short": self.short}
        own |= {"transfers": list(self.transfers)}
        return base | own


def _base(name: str, train: int, validation: int, iterations: int) -> Preset:
    given = PRESETS[name]
    training = replace(given.training, iterations=iterations)
    return replace(given, train=train, validation=validation, training=training)


# The paper's, and the one that keeps most accuracy without training.
TRANSFERS = ("linear", "calibrated")

# Depth: one grid, and a power of two layers a level. Pyramid: all paths end on the last grid and depth.
DEPTH = {
    "small": LevelsPreset(_base("small", 2000, 500, 10), (2,), (2, 4, 8, 16, 32, 64), short=3),
    "paper": LevelsPreset(_base("paper", 50_000, 10_000, 20), (1,), (2, 4, 8, 16, 32, 64), short=5),
}
PYRAMID = {
    "small": LevelsPreset(_base("small", 2500, 500, 10), (4, 2, 1), (2, 4, 8), transfers=TRANSFERS),
    "paper": LevelsPreset(_base("paper", 50_000, 10_000, 20), (4, 2, 1), (2, 4, 8), transfers=TRANSFERS),
}


def named(presets: dict[str, LevelsPreset], name: str, regularization: str = "weak") -> LevelsPreset:
    """Return the preset of this name, by :func:`refmg_validation.presets.with_choices`.

    Raises
    ------
    RefmgError
        If there is no such preset or regularisation.
    """
    if name not in presets:
        raise RefmgError(one_of("preset", name, presets))
    preset = presets[name]
    return replace(preset, base=with_choices(preset.base, regularization))
