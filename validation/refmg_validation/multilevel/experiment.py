"""One experiment: its paths, trained for every seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refmg import get_backend
from refmg.atomic import remove_parts
from refmg.multilevel import ImagePyramid
from refmg.transfer import Shape
from refmg_validation.multilevel.paths import TrainingPath
from refmg_validation.multilevel.presets import LevelsPreset
from refmg_validation.multilevel.saved_path import SavedPath, Told
from refmg_validation.resolution import load_splits

Paths = Callable[[LevelsPreset, Shape, int], list[TrainingPath]]
# Told of every path: seed, path, and a function that is told of every record.
Watch = Callable[[int, TrainingPath], AbstractContextManager[Told]]


@dataclass(frozen=True)
class Experiment:
    """What to run.

    Parameters
    ----------
    preset : LevelsPreset
        Sizes and settings.
    paths : callable
        From preset, shape of the images and number of classes to the paths.
    data : pathlib.Path, optional
        As in :func:`refmg.data.load_images`.
    output : pathlib.Path
        Gets a folder a seed, with checkpoints and a finished network a path; nobody else may write there.
    """

    preset: LevelsPreset
    paths: Paths
    data: Path | None
    output: Path

    def run(self, seeds: Iterable[int], watch: Watch) -> list[dict[str, Any]]:
        """Train every path for every seed, or go on where a run was interrupted.

        Returns
        -------
        list of dict
            One a seed: ``"seed"``, ``"data"``, ``"largest"`` (the architecture that defines a unit of work)
            and ``"records"``, a list a path.

        Raises
        ------
        RefmgError
            For bad input, or an output that belongs to another run.
        """
        return [self._one_seed(seed, watch) for seed in seeds]

    def has_begun(self, seeds: Iterable[int]) -> bool:
        """Return whether there is anything of a run from one of these seeds."""
        return any(any(self._folder(seed).glob("**/*.safetensors")) for seed in seeds)

    def _folder(self, seed: int) -> Path:
        return self.output / f"seed-{seed}"

    def _one_seed(self, seed: int, watch: Watch) -> dict[str, Any]:
        preset = self.preset.seeded(seed)
        # Of finished networks: the caller holds the whole output, each path removes its own checkpoints'.
        remove_parts(self._folder(seed))
        splits, about = load_splits(preset.base, self.data, seed)
        train, dtype, sigma = splits["train"], preset.base.dtype, preset.base.sigma
        pyramids = {
            name: ImagePyramid(images.features(dtype), images.labels, sigma)
            for name, images in splits.items()
        }
        paths, records = self.paths(preset, train.shape, train.classes), {}
        for path in paths:
            with watch(seed, path) as told:
                records[path.name] = self._saved(path, preset, seed, about).go(pyramids, told)
        largest = max((path.architectures[-1] for path in paths), key=lambda a: a.layers * a.grid.cells)
        return {"seed": seed, "data": about, "largest": largest, "records": records}

    def _saved(self, path: TrainingPath, preset: LevelsPreset, seed: int, about: dict[str, Any]) -> SavedPath:
        base = preset.base
        fingerprint = path.as_dict() | {
            "seed": seed,
            "data": about,
            "sigma": base.sigma,
            "dtype": base.dtype,
            "backend": get_backend().name,
        }
        return SavedPath(self._folder(seed) / path.file, path, seed, base.dtype, fingerprint)
