"""The experiment: its stages, trained for every seed, in pieces of any length; seeds side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from refmg import get_backend
from refmg.atomic import remove_parts
from refmg.data import Photographs
from refmg_backends import RefmgError
from refmg_validation.imagenet10.deadline import Deadline, Results, TimeIsUpError
from refmg_validation.imagenet10.images import LevelImages, parts_of
from refmg_validation.imagenet10.presets import ImageNetPreset
from refmg_validation.imagenet10.saved_stage import SavedStage
from refmg_validation.imagenet10.source import Source
from refmg_validation.imagenet10.stages import stages_of
from refmg_validation.imagenet10.watching import Watching
from refmg_validation.ranks import decisive, divided, first_before_others, once, ranks
from refmg_validation.runs import check_claim, claim_folder

Told = Callable[[Results], None]
SEED = re.compile(r"seed-(\d+)")


@dataclass(frozen=True)
class Experiment:
    """What to run.

    Parameters
    ----------
    preset : ImageNetPreset
        Sizes and settings; its seed is not used.
    source : Source
    output : pathlib.Path
        Gets a folder a seed. The caller holds its lock.
    session : dict
        Where this process' results come from.
    """

    preset: ImageNetPreset
    source: Source
    output: Path
    session: dict[str, Any]

    def run(
        self,
        seeds: Sequence[int],
        watching: Watching,
        deadline: Deadline,
        finished: Told = lambda results: None,
    ) -> Results:
        """Train every stage for every seed, or go on where a run was interrupted.

        Several ranks are divided into groups, which train some seeds each; a group shares the batches.

        Parameters
        ----------
        seeds : sequence of int
            What to train. Finished stages of other seeds in the same output are in the results as well.
        watching : Watching
            Is told what happens.
        deadline : Deadline
            Is asked after every epoch.
        finished : callable
            Is given the results so far after each stage that was trained.

        Returns
        -------
        list of dict
            One a seed: ``"seed"``, ``"data"``, ``"stages"``, the notes of finished ones by name, and
            ``"missing"``, names of the others.

        Raises
        ------
        RefmgError
            For bad input, or an output that belongs to another run.
        TimeIsUpError
            When the deadline says so.
        """
        photographs = first_before_others(lambda: self.source.load(self.preset.sizes[-1], watching.tell))
        together = -(-ranks().size // min(len(seeds), ranks().size))  # in the largest group
        plan = once(lambda: self._opened(seeds, photographs, together))
        # What is damaged is found before anything is trained.
        missing = {found["seed"]: found["missing"] for found in self._results(plan, photographs)}
        todo = {seed: [saved for saved in plan[seed] if saved.stage.name in missing[seed]] for seed in seeds}
        watching.begin([saved for seed in seeds for saved in todo[seed]])
        mapped = self.source.mapped(photographs, _sizes(todo), watching.tell)

        def train(seed: int) -> bool:
            levels = {
                size: LevelImages(photographs, replace(self.preset, seed=seed), size, mapped.get(size))
                for size in _sizes(todo)
            }
            for saved in [] if deadline.is_over else todo[seed]:
                try:
                    self._train(saved, levels[saved.stage.size], watching, deadline)
                except TimeIsUpError:
                    break
                once(lambda: self._tell(finished, plan, photographs))
            return not deadline.is_over

        in_time = divided(list(seeds), train)
        results = self._results(plan, photographs)
        if not all(in_time):
            raise TimeIsUpError(results)
        return results

    def _tell(self, finished: Told, plan: dict[int, list[SavedStage]], photographs: Photographs) -> None:
        """Tell the results, again where a stage of another group ended meanwhile: the last one tells all."""
        told = None
        while told != (told := _finished_files(plan)):
            finished(self._results(plan, photographs))

    def _train(
        self,
        saved: SavedStage,
        images: LevelImages,
        watching: Watching,
        deadline: Deadline,
    ) -> None:
        source = saved.stage.before
        before = None if source is None else replace(saved, stage=source).network
        deadline.begins(saved.stage.size**2)
        with watching.stage(saved) as told:

            def note(record: dict[str, Any]) -> None:
                told(record)
                deadline.check()

            saved.go(before, images, note)

    def _opened(
        self, seeds: Sequence[int], photographs: Photographs, together: int
    ) -> dict[int, list[SavedStage]]:
        if len(photographs.classes) != self.preset.architecture.classes:
            raise RefmgError(
                f"found {len(photographs.classes)} classes of photographs; expected "
                f"{self.preset.architecture.classes}"
            )
        check_claim(self.output, self._fingerprint(photographs))
        names = [path.name for path in self.output.iterdir()] if self.output.is_dir() else []
        others = {int(m[1]) for m in map(SEED.fullmatch, names) if m}
        plan = {seed: self._stages(seed, photographs) for seed in sorted({*seeds, *others})}
        for seed in seeds:  # refused before anything is written
            parts = parts_of(replace(self.preset, seed=seed), len(photographs))
            _check_ranks(together, min(self.preset.batch_size, *map(len, parts.values())))
        claim_folder(self.output, self._fingerprint(photographs))
        for folder in (self.source.cache, *(self.output / f"seed-{seed}" for seed in seeds)):
            if folder.is_relative_to(self.output):  # where nobody else writes
                remove_parts(folder)
        begun = {seed: saved for seed, saved in plan.items() if any(s.has_begun() for s in saved)}
        return begun | {seed: plan[seed] for seed in seeds}

    def _fingerprint(self, photographs: Photographs) -> dict[str, Any]:
        return {
            "experiment": "imagenet10",
            "preset": replace(self.preset, seed=0).as_dict(),
            "data": photographs.sha256,
            "backend": get_backend().name,
        } | decisive()

    def _stages(self, seed: int, photographs: Photographs) -> list[SavedStage]:
        preset = replace(self.preset, seed=seed)
        fingerprint = self._fingerprint(photographs) | {"seed": seed}
        folder = self.output / f"seed-{seed}"
        return [SavedStage(stage, preset, folder, fingerprint, self.session) for stage in stages_of(preset)]

    def _results(self, plan: dict[int, list[SavedStage]], photographs: Photographs) -> Results:
        return once(lambda: [_result(seed, saved, photographs) for seed, saved in sorted(plan.items())])


def _finished_files(plan: dict[int, list[SavedStage]]) -> list[Path]:
    return [saved.file for stages in plan.values() for saved in stages if saved.file.exists()]


def _sizes(todo: dict[int, list[SavedStage]]) -> list[int]:
    return sorted({saved.stage.size for plan in todo.values() for saved in plan})


def _check_ranks(together: int, images: int) -> None:
    if together > images:
        raise RefmgError(
            f"found {together} ranks for one split; expected at most {images}, the images of the smallest "
            "batch or part that they share: start fewer ranks, or ask for more --splits"
        )


def _result(seed: int, plan: list[SavedStage], photographs: Photographs) -> dict[str, Any]:
    found = {saved.stage.name: saved.notes() for saved in plan if saved.file.exists()}
    parts = parts_of(plan[0].preset, len(photographs))
    about = {name: len(numbers) for name, numbers in parts.items()}
    return {
        "seed": seed,
        "data": about | {"skipped": len(photographs.skipped), "sha256": photographs.sha256},
        "stages": found,
        "missing": [saved.stage.name for saved in plan if saved.stage.name not in found],
    }
