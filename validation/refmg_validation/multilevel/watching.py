"""What a multilevel experiment shows while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from refmg_validation.multilevel.expected import expected_work
from refmg_validation.multilevel.paths import TrainingPath, level_name
from refmg_validation.multilevel.run_clock import RunClock, in_words
from refmg_validation.progress import LevelProgress

Record = dict[str, Any]
Told = Callable[[Record], None]


class Watching:
    """Progress of every path, with the time left for its level and for the whole run.

    Parameters
    ----------
    console : rich.console.Console
        Where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console, self._clock, self._before = console, RunClock(0.0), 0.0

    def begin(self, paths: Sequence[TrainingPath], examples: int) -> None:
        """Take note of everything that is to be done."""
        self._clock, self._before = RunClock(sum(_total(path, examples) for path in paths)), 0.0

    @contextmanager
    def path(self, seed: int, path: TrainingPath, examples: int) -> Iterator[Told]:
        """Show one path; the value is told of every record."""
        self.console.print(f"seed {seed}, {path.name}")
        work, sizes = expected_work(path, examples), path.sizes
        with LevelProgress(self.console, sizes) as progress:

            def told(record: Record) -> None:
                if record["kind"] != "iteration":
                    return
                level, number = record["level"], record["iteration"]
                done = sum(map(sum, work[:level])) + sum(work[level][: number + 1])
                self._clock.reached(self._before + done, saved=record.get("saved", False))
                progress(level_name(record["shape"], record["layers"]), record, self._left())

            yield told
        self._before += _total(path, examples)

    def _left(self) -> str:
        left = self._clock.left()
        return "" if left is None else f", whole run {in_words(left)} left"


def _total(path: TrainingPath, examples: int) -> float:
    return sum(map(sum, expected_work(path, examples)))
