"""All measurements of one seed, each kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from refmg.data import Photographs, split_numbers
from refmg.data.photographs import MEAN, STD
from refmg.torch import TransferOptions
from refmg_backends import RefmgError
from refmg_validation.damage import read_json
from refmg_validation.model_study.network import SmallResNet
from refmg_validation.model_study.training import TrainingPlan, train
from refmg_validation.model_study.variants import jobs, predictions, variants
from refmg_validation.records import write_json

SIZE = 64
TARGETS = {"coarse": SIZE // 2, "fine": 2 * SIZE}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class StudyPlan:
    """Sizes of the parts and settings of training and transfer, for one seed."""

    training: TrainingPlan
    test: int = 1000
    validation: int = 600
    unlabelled: int = 500
    options: TransferOptions = field(default_factory=TransferOptions)


@dataclass(frozen=True, eq=False)
class SeedRun:
    """One seed of the study.

    Parameters
    ----------
    plan : StudyPlan
    photographs : Photographs
    folder : path
        For the network, ``seed-<n>.safetensors``, and the measurements, ``seed-<n>.json``; for seeds above 0
        the names end in ``-own-test``, since earlier versions gave them other test images.
    tell : callable
        Called with a line after each step; it may raise to stop, and the run goes on from there.
    recorded : dict, optional
        Measurements of an earlier run: gone on with where the folder has none and the plan is the same.
    """

    plan: StudyPlan
    photographs: Photographs
    folder: Path
    tell: Tell
    recorded: dict[str, Any] | None = None

    def run(self) -> dict[str, Any]:
        """Return the measurements, made or read; without anything to measure no network is trained."""
        result = self._known()
        todo = [(d, job) for d in TARGETS for job in jobs() if job not in result["done"][d]]
        if "source" in result and not todo:
            return result
        source = self._trained()
        if "source" not in result:
            result["source"] = self._scores(source, SIZE, source)
            self._keep(result)
        begin = monotonic()
        for number, (direction, job) in enumerate(todo, start=1):
            result[direction] |= self._measure(source, direction, job)
            result["done"][direction].append(job)
            self._keep(result)
            left = (monotonic() - begin) / number * (len(todo) - number)
            self.tell(f"seed {self.seed}, to {direction}: {job} is done, about {left:.0f} s left")
        return result

    @property
    def seed(self) -> int:
        """Of division, initial weights and order of the images."""
        return self.plan.training.seed

    def _path(self, ending: str) -> Path:
        own = "-own-test" if self.seed > 0 else ""
        return self.folder / f"seed-{self.seed}{own}.{ending}"

    def _known(self) -> dict[str, Any]:
        fresh = {"plan": asdict(self.plan), "done": {d: [] for d in TARGETS}, **{d: {} for d in TARGETS}}
        if not self._path("json").exists():
            same = self.recorded is not None and self.recorded["plan"] == fresh["plan"]
            return self.recorded if same and self.recorded is not None else fresh
        known: dict[str, Any] = read_json(self._path("json"), "delete it to measure again")
        if not isinstance(known, dict) or known.get("plan") != fresh["plan"]:
            raise RefmgError(
                f"{self._path('json')}: found measurements of other settings; expected {fresh['plan']}: take "
                "another folder"
            )
        return known

    def _keep(self, result: dict[str, Any]) -> None:
        write_json(self._path("json"), result)

    def _trained(self) -> SmallResNet:
        images, labels = self.images("train", SIZE), self.labels("train")
        plan, begin, first = self.plan.training, monotonic(), list[int]()

        def report(epoch: int, loss: float) -> None:
            first.append(epoch)
            left = (monotonic() - begin) / len(first) * (plan.epochs - epoch)
            self.tell(
                f"seed {self.seed}, epoch {epoch} of {plan.epochs}: loss {loss:.3f}, about {left:.0f} s left"
            )

        classes = len(self.photographs.classes)
        return train(
            plan, lambda: SmallResNet(classes, plan.width), images, labels, self._path("safetensors"), report
        )

    def _measure(self, source: SmallResNet, direction: str, job: str) -> dict[str, dict[str, float]]:
        fine = max(SIZE, TARGETS[direction])
        images = self.images("train", fine, self.plan.unlabelled)
        found = dict[str, dict[str, float]]()
        for variant in variants(source, images, direction, job, self.plan.options):
            found[variant.name] = self._scores(variant.model, TARGETS[direction], source)
            if variant.seconds is not None:
                found[variant.name]["seconds"] = variant.seconds
        return found

    def _scores(self, model: Any, size: int, source: SmallResNet) -> dict[str, float]:
        """Return accuracies, and how often the network says what the source says of the same images."""
        scores = {}
        for part in ("validation", "test"):
            said = predictions(model, self.images(part, size))
            scores[part] = float((said == self.labels(part)).double().mean())
            if part == "validation":
                same = predictions(source, self.images(part, SIZE))
                scores["agreement"] = float((said == same).double().mean())
        return scores

    def images(self, part: str, size: int, count: int | None = None) -> Tensor:
        """Return photographs of a part, normalised, shape (m, 3, size, size)."""
        chosen = self._parts[part][:count]
        mean, std = (torch.tensor(of)[:, None, None] for of in (MEAN, STD))
        return (torch.from_numpy(self.photographs.at(size, chosen)) - mean) / std

    def labels(self, part: str) -> Tensor:
        """Return the classes of a part."""
        return torch.from_numpy(self.photographs.labels[self._parts[part]])

    @cached_property
    def _parts(self) -> dict[str, Any]:
        plan = self.plan
        return split_numbers(len(self.photographs.labels), plan.test, plan.validation, self.seed)
