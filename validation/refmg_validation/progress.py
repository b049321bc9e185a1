"""Progress of the two trainings, with the time left."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LEVELS = ("coarse", "fine")


class TrainingProgress:
    """Two bars on a terminal; one line an iteration elsewhere.

    Parameters
    ----------
    console : rich.console.Console
        Where to write.
    total : int
        Iterations of each network.
    """

    def __init__(self, console: Console, total: int) -> None:
        columns = (TextColumn("{task.description:40s}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        # An iteration takes up to a minute: the speed is estimated over ten of them.
        self.bars = Progress(*columns, *times, console=console, speed_estimate_period=600)
        self.console, self.total = console, total
        self.tasks = {level: self.bars.add_task(level, total=total, start=False) for level in LEVELS}
        self.first: dict[str, tuple[int, float]] = {}

    def __enter__(self) -> TrainingProgress:
        """Show the bars."""
        if self.console.is_terminal:
            self.bars.start()
        self.bars.start_task(self.tasks["coarse"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bars as they are."""
        self.bars.stop()

    def __call__(self, level: str, record: dict[str, Any]) -> None:
        """Take note of one finished iteration."""
        number = record["iteration"]
        words = f"{level}: loss {record['loss']:.4f}, validation {100 * record['validation']:.1f} %"
        self.bars.update(self.tasks[level], completed=number + 1, description=words)
        if level == "coarse" and number + 1 == self.total:
            self.bars.start_task(self.tasks["fine"])
        if not self.console.is_terminal:
            self.console.print(f"{words}, iteration {number} of {self.total - 1}{self._left(level, number)}")

    def _left(self, level: str, number: int) -> str:
        first, start = self.first.setdefault(level, (number, monotonic()))
        if number == first:
            return ""
        left = (monotonic() - start) / (number - first) * (self.total - 1 - number)
        return f", {left:.0f} s left"
