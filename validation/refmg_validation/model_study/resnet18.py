"""ResNet-18 as others published it, trained on photographs and moved as a user would.

``python -m refmg_validation.model_study.resnet18 --output validation/results/resnet18``

The architecture is that of the package transformers, and every call below is public. It goes on where it
was interrupted, and leaves ``resnet18.safetensors`` in the folder ``--cache``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save
from torch import Tensor, nn

from refmg.atomic import write_atomically
from refmg.data import Photographs, load_photographs
from refmg.torch import ModelReport, TransferOptions, transfer_model
from refmg_validation.model_study.seed_run import SIZE, TARGETS, SeedRun, StudyPlan
from refmg_validation.model_study.training import TrainingPlan, train
from refmg_validation.model_study.variants import predictions
from refmg_validation.records import provenance, study_command, write_json

WAYS = {
    "unchanged": ("unchanged", TransferOptions(batch_norm=False, classifier=False)),
    "unchanged + BN": ("unchanged", TransferOptions(classifier=False)),
    "unchanged + BN + classifier": ("unchanged", TransferOptions()),
    "calibrated + BN + classifier": ("calibrated", TransferOptions()),
}


class Logits(nn.Module):
    """What a model of transformers returns, without its wrapping."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return self.model(images).logits  # type: ignore[no-any-return]


def resnet18(classes: int, width: int = 64) -> nn.Module:
    """Return ResNet-18 with random weights; `width` channels in the first stage, 64 as published."""
    from transformers import ResNetConfig, ResNetForImageClassification

    sizes = [width << stage for stage in range(4)]
    config = ResNetConfig(
        embedding_size=width,
        hidden_sizes=sizes,
        depths=[2, 2, 2, 2],
        layer_type="basic",
    )
    config.num_labels = classes
    model: nn.Module = ResNetForImageClassification(config)
    return model


def moved(model: nn.Module, images: dict[str, Tensor]) -> Iterator[tuple[str, str, nn.Module, ModelReport]]:
    """Yield direction, way, model and report for every way of moving.

    Parameters
    ----------
    model : Module
        Trained.
    images : dict of Tensor
        By direction: unlabelled images on the finer grid.
    """
    for direction in TARGETS:
        for way, (transfer, options) in WAYS.items():
            yield direction, way, *transfer_model(model, images[direction], 2, direction, transfer, options)


def measure(model: nn.Module, run: SeedRun) -> tuple[dict[str, Any], dict[str, str]]:
    """Return accuracies and seconds by direction and way, and what the reports print."""
    fine = {name: max(SIZE, size) for name, size in TARGETS.items()}
    images = {name: run.images("train", size, run.plan.unlabelled) for name, size in fine.items()}
    found: dict[str, Any] = {"source": _accuracy(model, run, SIZE), **{name: {} for name in TARGETS}}
    printed = {}
    for direction, way, other, report in moved(model, images):
        accuracy = _accuracy(other, run, TARGETS[direction])
        found[direction][way] = {"test": accuracy, "seconds": report.seconds}
        printed[f"{way}, to {direction}"] = str(report)
        print(f"to {direction}, {way}: {100 * accuracy:.1f} % in {report.seconds:.1f} s", flush=True)
    return found, printed


def _accuracy(model: nn.Module, run: SeedRun, size: int) -> float:
    said = predictions(Logits(model), run.images("test", size))
    return float((said == run.labels("test")).double().mean())


def study_table(found: dict[str, Any], test: int) -> Table:
    """Return accuracies in % and seconds."""
    table = Table(title=f"ResNet-18: accuracy in % on {test} test images")
    for name in ("network", *(f"{SIZE} to {size}" for size in TARGETS.values()), "seconds"):
        table.add_column(name, justify="left" if name == "network" else "right")
    table.add_row(f"source, on {SIZE} x {SIZE}", f"{100 * found['source']:.1f}", "", "")
    for way in WAYS:
        scores = [found[direction][way] for direction in TARGETS]
        cells = [f"{100 * score['test']:.1f}" for score in scores]
        table.add_row(way, *cells, " / ".join(f"{score['seconds']:.1f}" for score in scores))
    return table


def trained(run: SeedRun, cache: Path, width: int) -> nn.Module:
    """Return ResNet-18 trained on the photographs, and keep its tensors as safetensors."""
    plan, classes = run.plan.training, len(run.photographs.classes)
    model = train(
        plan,
        lambda: Logits(resnet18(classes, width)),
        run.images("train", SIZE),
        run.labels("train"),
        cache / f"resnet18-{width}.safetensors",
        lambda epoch, loss: print(f"epoch {epoch} of {plan.epochs}: loss {loss:.3f}", flush=True),
    ).model
    write_atomically(cache / "resnet18.safetensors", save(model.state_dict()))
    return model.eval()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with the tars; REFMG_DATA by default")
    parser.add_argument("--cache", type=Path, default=Path("runs"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--validation", type=int, default=600)
    parser.add_argument("--unlabelled", type=int, default=500)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Train, move, print and record."""
    given = parse(arguments)
    photographs: Photographs = load_photographs(given.data, given.cache)
    plan = StudyPlan(TrainingPlan(0, epochs=given.epochs), given.test, given.validation, given.unlabelled)
    run = SeedRun(plan, photographs, given.cache, print)
    model = trained(run, given.cache, given.width)
    found, printed = measure(model, run)
    Console(width=110).print(study_table(found, given.test))
    command = study_command("refmg_validation.model_study.resnet18", given)
    settings = {
        name: getattr(given, name) for name in ("epochs", "width", "test", "validation", "unlabelled")
    }
    about = provenance() | {"command": command, "torch": torch.__version__, "settings": settings}
    write_json(given.output / "resnet18.json", about | {"found": found, "reports": printed})


if __name__ == "__main__":
    main()
