"""What ``refmg reproduce depth`` and ``refmg reproduce pyramid`` print and write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from refmg_backends import RefmgError
from refmg_validation.multilevel.depth import depth_summary, depth_verdicts
from refmg_validation.multilevel.experiment import Experiment
from refmg_validation.multilevel.figures import draw_depth, draw_pyramid
from refmg_validation.multilevel.paths import (
    TrainingPath,
    depth_paths,
    level_name,
    pyramid_paths,
)
from refmg_validation.multilevel.presets import DEPTH, PYRAMID, LevelsPreset
from refmg_validation.multilevel.pyramid import pyramid_summary, pyramid_verdicts
from refmg_validation.multilevel.record import Finding, record_of
from refmg_validation.multilevel.tables import depth_table, pyramid_table, switch_table
from refmg_validation.progress import LevelProgress
from refmg_validation.records import write_figure
from refmg_validation.run_record import write_run
from refmg_validation.runs import FolderLock

Results = list[dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """One of the two experiments."""

    name: str
    title: str
    presets: dict[str, LevelsPreset]
    paths: Callable[..., list[TrainingPath]]
    summary: Callable[[Results], list[dict[str, Any]]]
    verdicts: Callable[[list[dict[str, Any]]], list[str]]
    draw: Callable[[Results], Any]
    table: Callable[[list[dict[str, Any]], str], Table]
    caption: str


DEPTH_KIND = Kind(
    "depth",
    "Shallow to deep",
    DEPTH,
    depth_paths,
    depth_summary,
    depth_verdicts,
    draw_depth,
    depth_table,
    "Training loss and validation accuracy by iteration at every depth, from prolonged and random starts",
)
PYRAMID_KIND = Kind(
    "pyramid",
    "Coarse to fine",
    PYRAMID,
    pyramid_paths,
    pyramid_summary,
    pyramid_verdicts,
    draw_pyramid,
    pyramid_table,
    "Validation accuracy against seconds and work; dots are iterations of the finest and deepest network",
)


@dataclass(frozen=True)
class Request:
    """What to run, where the results go, and whether a run must be there to go on with."""

    kind: Kind
    preset: LevelsPreset
    data: Path | None
    seeds: range
    output: Path
    resume: bool = False

    def run(self, console: Console) -> None:
        """Run for all seeds, print the tables and write figure and ``run.json``.

        Raises
        ------
        RefmgError
            For bad input, or an output that belongs to another run, is in use, or has nothing to resume.
        """
        experiment = Experiment(self.preset, self.kind.paths, self.data, self.output)
        if self.resume and not experiment.has_begun(self.seeds):
            raise RefmgError(
                f"found no run in {self.output} to resume; expected checkpoints or networks of one: name its "
                "--output, or start it without --resume"
            )
        with FolderLock(self.output):
            results = experiment.run(self.seeds, lambda seed, path: _watched(console, seed, path))
            self._report(results, console)

    def _report(self, results: Results, console: Console) -> None:
        kind, data = self.kind, results[0]["data"]
        rows, figure = kind.summary(results), f"{kind.name}.png"
        verdicts = kind.verdicts(rows)
        title = (
            f"{kind.title}, preset {self.preset.base.name}, {data['name']}, {data['train']} training images"
        )
        write_figure(self.output / figure, kind.draw(results))
        finding = Finding(
            title, self.preset.as_dict(), rows, "Every start at every level", figure, kind.caption, verdicts
        )
        write_run(self.output, record_of(finding, results))
        _print(results[0], console, kind.table(rows, title), verdicts)
        console.print(f"Networks, run.json and {figure} are in {self.output}")


@contextmanager
def _watched(console: Console, seed: int, path: TrainingPath) -> Iterator[Callable[[dict[str, Any]], None]]:
    console.print(f"seed {seed}, {path.name}")
    with LevelProgress(console, path.sizes) as progress:

        def told(record: dict[str, Any]) -> None:
            if record["kind"] == "iteration":
                progress(level_name(record["shape"], record["layers"]), record)

        yield told


def _print(first: dict[str, Any], console: Console, table: Table, verdicts: list[str]) -> None:
    for name, records in first["records"].items():
        switches = [record for record in records if record["kind"] == "switch"]
        if switches:
            console.print(switch_table(switches, f"Switches of levels, {name}, seed {first['seed']}"))
    console.print(table)
    for line in verdicts:
        console.print(line)
