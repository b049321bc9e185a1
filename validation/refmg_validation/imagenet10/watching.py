"""What the experiment shows while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from refmg_validation.imagenet10.costs import image_flops
from refmg_validation.imagenet10.saved_stage import SavedStage
from refmg_validation.multilevel.run_clock import RunClock, in_words
from refmg_validation.progress import LevelProgress

Record = dict[str, Any]


class Watching:
    """Progress of every stage, with the longest time that is left for it and for the whole run.

    Parameters
    ----------
    console : rich.console.Console
        Where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console, self._clock, self._before = console, RunClock(0.0), 0.0

    def tell(self, line: str) -> None:
        """Print a line."""
        self.console.print(line, style="dim", highlight=False, markup=False)

    def begin(self, stages: Sequence[SavedStage]) -> None:
        """Take note of everything that is to be done."""
        self._clock, self._before = RunClock(sum(map(_work, stages))), 0.0

    @contextmanager
    def stage(self, saved: SavedStage) -> Iterator[Callable[[Record], None]]:
        """Show one stage; the value is told of every record."""
        seed, name, epochs = saved.preset.seed, saved.stage.name, saved.preset.training.epochs
        self.console.print(f"seed {seed}: {name}")
        with LevelProgress(self.console, {name: epochs}) as progress:

            def told(record: Record) -> None:
                number = record["epoch"]
                # Early stopping may end it at any time: what is left is left at most.
                done = self._before + _work(saved) * (number + 1) / epochs
                self._clock.reached(done)
                progress(name, record | {"iteration": number}, self._left())

            yield told
        self._before += _work(saved)
        self._clock.reached(self._before, saved=True)

    def _left(self) -> str:
        left = self._clock.left()
        return "" if left is None else f", whole run at most {in_words(left)} left"


def _work(saved: SavedStage) -> float:
    architecture = saved.preset.architecture.on((saved.stage.size,) * 2)
    return image_flops(architecture) * saved.preset.training.epochs
