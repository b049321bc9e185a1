"""What ``refmg reproduce depth`` and ``refmg reproduce pyramid`` print and write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from refmg import get_backend
from refmg_validation.multilevel.depth import depth_summary, depth_verdicts
from refmg_validation.multilevel.experiment import Experiment, Results
from refmg_validation.multilevel.figures import draw_depth, draw_pyramid
from refmg_validation.multilevel.origin import missing_words
from refmg_validation.multilevel.paths import TrainingPath, depth_paths, pyramid_paths
from refmg_validation.multilevel.presets import DEPTH, PYRAMID, LevelsPreset
from refmg_validation.multilevel.pyramid import pyramid_summary, pyramid_verdicts
from refmg_validation.multilevel.record import Finding, record_of
from refmg_validation.multilevel.tables import depth_table, pyramid_table, switch_table
from refmg_validation.multilevel.watching import Watching
from refmg_validation.records import provenance, write_figure
from refmg_validation.run_record import write_run
from refmg_validation.runs import FolderLock


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
    """What to run and which of its paths, where the results go, whether a run must be there to go on with."""

    kind: Kind
    preset: LevelsPreset
    data: Path | None
    seeds: range
    output: Path
    resume: bool = False
    only: tuple[str, ...] = ()

    def run(self, console: Console) -> None:
        """Run for all seeds, print the tables and write figure and ``run.json``.

        ``run.json`` is also written after every path that was trained, marked as incomplete.

        Raises
        ------
        RefmgError
            For bad input, or an output that belongs to another run, is in use, or has nothing to resume.
        """
        kind, session = self.kind, provenance() | {"backend": get_backend().name}
        with FolderLock(self.output):
            experiment = Experiment(kind.name, self.preset, kind.paths, self.data, self.output, session)
            results = experiment.run(self.seeds, Watching(console), self._so_far, self.resume, self.only)
            self._report(results, console)

    def _so_far(self, results: Results) -> None:
        if any(found["missing"] for found in results):
            write_run(self.output, record_of(self._finding(results, []), results))

    def _report(self, results: Results, console: Console) -> None:
        kind, figure = self.kind, f"{self.kind.name}.png"
        write_figure(self.output / figure, kind.draw(results))
        finding = self._finding(results, [(figure, kind.caption)])
        write_run(self.output, record_of(finding, results))
        rows = kind.summary(results)
        _print(results, console, kind.table(rows, finding.title), finding.verdicts)
        console.print(f"Networks, run.json and {figure} are in {self.output}")

    def _finding(self, results: Results, figures: list[tuple[str, str]]) -> Finding:
        kind, data = self.kind, results[0]["data"]
        rows, name = kind.summary(results), self.preset.base.name
        title = f"{kind.title}, preset {name}, {data['name']}, {data['train']} training images"
        table = "Every start at every level"
        return Finding(title, self.preset.as_dict(), rows, table, figures, kind.verdicts(rows))


def _print(results: Results, console: Console, table: Table, verdicts: Sequence[str]) -> None:
    first, missing = results[0], missing_words(results)
    for name, records in first["records"].items():
        switches = [record for record in records if record["kind"] == "switch"]
        if switches:
            console.print(switch_table(switches, f"Switches of levels, {name}, seed {first['seed']}"))
    console.print(table)
    for line in [*verdicts, *([f"Incomplete: {missing}"] if missing else [])]:
        console.print(line)
