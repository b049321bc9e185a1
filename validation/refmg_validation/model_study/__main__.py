"""Trains a small residual network on photographs and moves it to half and twice their resolution.

``python -m refmg_validation.model_study --output validation/results/model-study --seeds 5``

It goes on where it was interrupted, and from the seeds that the output has recorded already; ``--minutes``
makes it stop by itself. Seeds above 0 test on images of which seed 0, with which settings were chosen, used
none to test or to validate.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from rich.console import Console

from refmg.data import load_photographs
from refmg_backends import RefmgError
from refmg_validation.damage import read_json, told_as_damage
from refmg_validation.model_study.seed_run import SeedRun, StudyPlan
from refmg_validation.model_study.tables import markdown, study_table, summarize, title, verdicts
from refmg_validation.model_study.training import TrainingPlan
from refmg_validation.records import provenance, study_command, write_json


class OutOfTimeError(Exception):
    """The minutes that were given are over."""


class Teller:
    """Prints lines, and stops after a number of minutes."""

    def __init__(self, minutes: float) -> None:
        self.end = monotonic() + 60 * minutes

    def __call__(self, line: str) -> None:
        """Print one line."""
        print(line, flush=True)
        if monotonic() > self.end:
            raise OutOfTimeError


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with the tars; REFMG_DATA by default")
    parser.add_argument(
        "--cache", type=Path, default=Path("runs"), help="for decoded photographs and networks"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--validation", type=int, default=600)
    parser.add_argument("--unlabelled", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    return parser.parse_args(arguments)


def read_recorded(path: Path) -> dict[int, dict[str, Any]]:
    """Return the measurements of each seed that a record holds."""
    if not path.exists():
        return {}
    advice = "delete it to measure all seeds again"
    record = read_json(path, advice)
    with told_as_damage(f"{path} is no record of this study", advice):
        return {int(row["plan"]["training"]["seed"]): row for row in record["rows"] if row["done"]}


def study(given: argparse.Namespace) -> None:
    """Run all seeds, print the table and record it."""
    photographs = load_photographs(given.data, given.cache)
    recorded = read_recorded(given.output / "model-study.json")
    tell, rows = Teller(given.minutes), []
    for seed in range(given.seeds):
        training = TrainingPlan(seed, epochs=given.epochs, width=given.width)
        plan = StudyPlan(training, given.test, given.validation, given.unlabelled)
        rows.append(SeedRun(plan, photographs, given.cache / "model-study", tell, recorded.get(seed)).run())
    Console(width=110).print(study_table(rows))
    print("\n".join(verdicts(rows)))
    command = study_command("refmg_validation.model_study", given)
    about = provenance() | {"command": command, "torch": torch.__version__, "title": title(rows)}
    content = about | {"summary": summarize(rows), "markdown": markdown(rows).splitlines(), "rows": rows}
    write_json(given.output / "model-study.json", content)


def main(arguments: list[str] | None = None) -> int:
    """Run the study; bad input gives one line and exit status 2."""
    try:
        study(parse(arguments))
    except OutOfTimeError:
        print("stopped, as --minutes asked; the same command goes on from here")
    except RefmgError as error:
        print(f"refmg: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
