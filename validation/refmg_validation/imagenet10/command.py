"""What ``refmg reproduce imagenet10`` prints and writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from refmg import get_backend
from refmg.atomic import write_atomically
from refmg_validation.html_report import report_page
from refmg_validation.imagenet10.deadline import Deadline, Results, TimeIsUpError
from refmg_validation.imagenet10.experiment import Experiment
from refmg_validation.imagenet10.figures import draw_figure3
from refmg_validation.imagenet10.presets import ImageNetPreset
from refmg_validation.imagenet10.record import missing_words, record_of, title_of
from refmg_validation.imagenet10.source import Source
from refmg_validation.imagenet10.summary import summary, verdicts
from refmg_validation.imagenet10.tables import table_1
from refmg_validation.imagenet10.watching import Watching
from refmg_validation.ranks import once
from refmg_validation.records import provenance, write_figure
from refmg_validation.run_record import write_run
from refmg_validation.runs import FolderLock

FIGURE, PAGE = "figure3.png", "report.html"
CAPTION = (
    "Validation accuracy and loss against seconds and epochs; dashed: coarse levels; dots: networks taken"
)


@dataclass(frozen=True)
class Request:
    """What to run, where the results go, and for how long."""

    preset: ImageNetPreset
    source: Source
    seeds: range
    output: Path
    seconds: float = float("inf")

    def run(self, console: Console) -> None:
        """Run for all seeds, print Table 1 and write Figure 3, ``run.json`` and the page.

        ``run.json`` is also written after every stage, marked as incomplete; where the time is up, all of
        them are, as far as paths have ended.

        Raises
        ------
        RefmgError
            For bad input, or an output that belongs to another run or is in use.
        """
        deadline, session = Deadline(self.seconds), provenance() | {"backend": get_backend().name}
        experiment = Experiment(self.preset, self.source, self.output, session)
        with FolderLock(self.output):
            try:
                results = experiment.run(self.seeds, Watching(console), deadline, self._so_far)
            except TimeIsUpError as error:
                if summary(error.results, self.preset):
                    self._report(error.results, console)
                console.print("stopped, as --time-limit asked; the same command goes on from here")
                return
            self._report(results, console)

    def _so_far(self, results: Results) -> None:
        rows = summary(results, self.preset)
        write_run(self.output, record_of(results, self.preset, rows, verdicts(rows)))

    def _report(self, results: Results, console: Console) -> None:
        once(lambda: self._written(results, console))

    def _written(self, results: Results, console: Console) -> None:
        rows = summary(results, self.preset)
        notes = verdicts(rows)
        write_figure(self.output / FIGURE, draw_figure3(results, self.preset))
        write_run(self.output, record_of(results, self.preset, rows, notes, [(FIGURE, CAPTION)]))
        write_atomically(self.output / PAGE, report_page(self.output).encode())
        console.print(*table_1(rows, title_of(results, self.preset)))
        for line in [*notes, *([f"Incomplete: {missing}"] if (missing := missing_words(results)) else [])]:
            console.print(line)
        console.print(f"{FIGURE}, run.json and {PAGE} are in {self.output}")
