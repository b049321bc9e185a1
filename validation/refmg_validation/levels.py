"""The two resolutions of the experiments, and their images."""

from __future__ import annotations

from dataclasses import dataclass

from refmg_validation.training_run import Examples

LEVELS = ("coarse", "fine")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class LevelData:
    """Training, validation and test images of one resolution."""

    train: Examples
    validation: Examples
    test: Examples
