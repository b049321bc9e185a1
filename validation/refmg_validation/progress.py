"""Progress of a training on several levels, with the time left."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Self

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


class LevelProgress:
    """One bar a level on a terminal; one line an iteration elsewhere.

    Parameters
    ----------
    console : rich.console.Console
        Where to write.
    totals : mapping
        Names of the levels, in the order in which they are trained, and how many records each gives:
        the iterations, and one for the start.

    Examples
    --------
    >>> import sys
    >>> with LevelProgress(Console(file=sys.stdout, width=80), {"7 x 7": 2, "14 x 14": 3}) as progress:
    ...     progress("7 x 7", {"iteration": 0, "loss": 1.25, "validation": 0.5})
    7 x 7: loss 1.2500, validation 50.0 %, iteration 0 of 1
    <BLANKLINE>
    """

    def __init__(self, console: Console, totals: Mapping[str, int]) -> None:
        columns = (TextColumn("{task.description:40s}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        # An iteration takes up to a minute: the speed is estimated over ten of them.
        self.bars = Progress(*columns, *times, console=console, speed_estimate_period=600)
        self.console, self.totals = console, dict(totals)
        self.tasks = {
            level: self.bars.add_task(level, total=total, start=False) for level, total in totals.items()
        }
        self.first: dict[str, tuple[int, float]] = {}

    def __enter__(self) -> Self:
        """Show the bars."""
        if self.console.is_terminal:
            self.bars.start()
        self._start(*list(self.tasks)[:1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bars as they are."""
        self.bars.stop()

    def __call__(self, level: str, record: dict[str, Any], more: str = "") -> None:
        """Take note of one finished iteration, and show what else is to be said."""
        number, total = record["iteration"], self.totals[level]
        words = f"{level}: {_measured(record)}"
        self._start(level)
        self.bars.update(self.tasks[level], completed=number + 1, description=words + more)
        if number + 1 == total:
            self._start(*self._after(level))
        if not self.console.is_terminal:
            self.console.print(f"{words}, iteration {number} of {total - 1}{self._left(level, number)}{more}")

    def _start(self, *levels: str) -> None:
        for level in levels:
            if not self.bars.tasks[self.tasks[level]].started:
                self.bars.start_task(self.tasks[level])

    def _after(self, level: str) -> list[str]:
        names = list(self.tasks)
        return names[names.index(level) + 1 :][:1]

    def _left(self, level: str, number: int) -> str:
        first, start = self.first.setdefault(level, (number, monotonic()))
        if number == first:
            return ""
        left = (monotonic() - start) / (number - first) * (self.totals[level] - 1 - number)
        return f", {left:.0f} s left"


class TrainingProgress(LevelProgress):
    """The same for a coarse and a fine network.

    Parameters
    ----------
    console : rich.console.Console
        Where to write.
    total : int
        Records of each network.
    """

    def __init__(self, console: Console, total: int) -> None:
        super().__init__(console, dict.fromkeys(LEVELS, total))


def _measured(record: dict[str, Any]) -> str:
    # Without validation images the training accuracy is all that there is.
    name = "validation" if record.get("validation") is not None else "accuracy"
    value = record.get(name)
    accuracy = "" if value is None else f", {name} {100 * value:.1f} %"
    return f"loss {record['loss']:.4f}{accuracy}"
