"""One experiment: its paths, trained for every seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from refmg import get_backend
from refmg.atomic import remove_parts
from refmg.multilevel import ImagePyramid
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of
from refmg_validation.multilevel.paths import TrainingPath
from refmg_validation.multilevel.presets import LevelsPreset
from refmg_validation.multilevel.saved_path import SavedPath
from refmg_validation.multilevel.watching import Watching
from refmg_validation.ranks import decisive, divided, once
from refmg_validation.resolution import load_splits
from refmg_validation.runs import check_claim, claim_folder
from refmg_validation.split_data import SplitImages

Paths = Callable[[LevelsPreset, Shape, int], list[TrainingPath]]
Results = list[dict[str, Any]]
SEED = re.compile(r"seed-(\d+)")


@dataclass(frozen=True)
class Experiment:
    """What to run.

    Parameters
    ----------
    name : str
        Of the experiment: another one may not write into the same output.
    preset : LevelsPreset
        Sizes and settings.
    paths : callable
        From preset, shape of the images and number of classes to the paths.
    data : pathlib.Path, optional
        As in :func:`refmg.data.load_images`.
    output : pathlib.Path
        Gets a folder a seed, with checkpoints and a finished network a path. The caller holds its lock.
    session : dict
        Where this process' results come from.
    """

    name: str
    preset: LevelsPreset
    paths: Paths
    data: Path | None
    output: Path
    session: dict[str, Any]

    def run(
        self,
        seeds: Sequence[int],
        watching: Watching,
        finished: Callable[[Results], None] = lambda results: None,
        resume: bool = False,
        only: Sequence[str] = (),
    ) -> Results:
        """Train every path for every seed, or go on where a run was interrupted.

        Parameters
        ----------
        seeds : sequence of int
            What to train. Finished paths of other seeds in the same output are in the results as well.
        watching : Watching
            Is told of every path and record.
        finished : callable
            Is given the results so far after each path that was trained.
        resume : bool
            Refuse to start anew.
        only : sequence of str
            Names of the paths to train now; all by default. What others have finished is in the results.

        Returns
        -------
        list of dict
            One a seed: ``"seed"``, ``"data"``, ``"largest"`` (the architecture that defines a unit of work),
            ``"records"`` and ``"sessions"``, lists a finished path, and ``"missing"``, names of the others.

        Raises
        ------
        RefmgError
            For bad input, an output that belongs to another run, or nothing to resume.
        """
        plan = self._opened(seeds, resume, only)
        self._results(plan)  # what is damaged is found before anything is trained
        now = {seed: [saved for saved in plan[seed] if not only or saved.path.name in only] for seed in seeds}
        watching.begin([saved.path for seed in seeds for saved in now[seed]], self.preset.base.train)

        def train(seed: int) -> None:
            pyramids = self._pyramids(seed) if not all(s.is_finished() for s in now[seed]) else {}
            for saved in now[seed]:
                new = not saved.is_finished()
                with watching.path(seed, saved.path, self.preset.base.train) as told:
                    saved.go(pyramids, told)
                if new:
                    finished(self._results(plan))

        divided(list(seeds), train)
        return self._results(plan)

    def _opened(self, seeds: Sequence[int], resume: bool, only: Sequence[str]) -> dict[int, list[SavedPath]]:
        """Return the paths of all seeds, once the output is known to be this experiment's."""
        splits, about = load_splits(self.preset.base, self.data, seeds[0])
        self._check_names(only, splits["train"])
        others = {int(m[1]) for m in map(SEED.fullmatch, self._names()) if m}
        plan = {seed: self._saved(seed, splits["train"], about) for seed in sorted({*seeds, *others})}
        plan = {seed: paths for seed, paths in plan.items() if seed in seeds or _has_begun(paths)}
        fingerprint = self._fingerprint(about)
        check_claim(self.output, fingerprint)
        if resume and not any(_has_begun(plan[seed]) for seed in seeds):
            raise RefmgError(
                f"found no run in {self.output} to resume; expected checkpoints or networks of one: name its "
                "--output, or start it without --resume"
            )
        claim_folder(self.output, fingerprint)
        for seed in seeds:
            # Of finished networks: the caller holds the output, each path removes its own checkpoints'.
            once(partial(remove_parts, self._folder(seed)))
        return plan

    def _check_names(self, only: Sequence[str], train: SplitImages) -> None:
        names = [path.name for path in self.paths(self.preset, train.shape, train.classes)]
        for name in only:
            if name not in names:
                raise RefmgError(one_of("path", name, names))

    def _fingerprint(self, about: dict[str, Any]) -> dict[str, Any]:
        preset = self.preset.seeded(0).as_dict()
        return {
            "experiment": self.name,
            "preset": preset,
            "data": about,
            "backend": get_backend().name,
        } | decisive()

    def _names(self) -> list[str]:
        return once(lambda: [p.name for p in self.output.iterdir()] if self.output.is_dir() else [])

    def _folder(self, seed: int) -> Path:
        return self.output / f"seed-{seed}"

    def _saved(self, seed: int, train: SplitImages, about: dict[str, Any]) -> list[SavedPath]:
        preset = self.preset.seeded(seed)
        base, folder = preset.base, self._folder(seed)
        settles = {
            "seed": seed,
            "data": about,
            "sigma": base.sigma,
            "dtype": base.dtype,
            "backend": get_backend().name,
        } | decisive()
        return [
            SavedPath(folder / path.file, path, seed, base.dtype, path.as_dict() | settles, self.session)
            for path in self.paths(preset, train.shape, train.classes)
        ]

    def _pyramids(self, seed: int) -> dict[str, ImagePyramid]:
        base = self.preset.base
        splits, _ = load_splits(base, self.data, seed)
        return {
            name: ImagePyramid(images.features(base.dtype), images.labels, base.sigma)
            for name, images in splits.items()
        }

    def _results(self, plan: dict[int, list[SavedPath]]) -> Results:
        return [_result(seed, paths) for seed, paths in plan.items()]


def _has_begun(paths: list[SavedPath]) -> bool:
    return any(saved.has_begun() for saved in paths)


def _result(seed: int, paths: list[SavedPath]) -> dict[str, Any]:
    ends = [saved.path.architectures[-1] for saved in paths]
    found = {saved.path.name: saved.finished() for saved in paths if saved.is_finished()}
    return {
        "seed": seed,
        "data": paths[0].fingerprint["data"],
        "largest": max(ends, key=lambda a: a.layers * a.grid.cells),
        "records": {name: end.records for name, end in found.items()},
        "sessions": {name: end.sessions for name, end in found.items()},
        "missing": [saved.path.name for saved in paths if saved.path.name not in found],
    }
