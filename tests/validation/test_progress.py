"""Progress over any levels: lines elsewhere than on a terminal, bars there."""

import io

import pytest
from rich.console import Console

from refmg_validation import progress as module
from refmg_validation.progress import LevelProgress, TrainingProgress

TOTALS = {"7 x 7": 2, "14 x 14": 3, "28 x 28": 6}


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def record(iteration, **more):
    return {"iteration": iteration, "loss": 1.5 / (1 + iteration)} | more


def lines_of(totals, records, clock=None):
    """Return what is printed when these records come in, two seconds apart."""
    stream = io.StringIO()
    with LevelProgress(Console(file=stream, width=120), totals) as progress:
        for level, found in records:
            progress(level, found)
            if clock is not None:
                clock[0] += 2
    return stream.getvalue().splitlines()[: len(records)]


def test_every_level_has_its_own_number_of_iterations_and_its_own_time_left(clock):
    records = [(level, record(i, validation=0.5)) for level, total in TOTALS.items() for i in range(total)]
    lines = lines_of(TOTALS, records, clock)
    assert lines[0] == "7 x 7: loss 1.5000, validation 50.0 %, iteration 0 of 1"
    assert lines[3] == "14 x 14: loss 0.7500, validation 50.0 %, iteration 1 of 2, 2 s left"
    assert lines[-4] == "28 x 28: loss 0.5000, validation 50.0 %, iteration 2 of 5, 6 s left"
    assert lines[-1].endswith("iteration 5 of 5, 0 s left")


def test_a_level_starts_when_the_one_before_is_done_or_when_it_reports():
    with LevelProgress(Console(file=io.StringIO()), TOTALS) as progress:

        def started():
            return [task.started for task in progress.bars.tasks]

        assert started() == [True, False, False]
        progress("7 x 7", record(0))
        assert started() == [True, False, False]
        progress("7 x 7", record(1))
        assert started() == [True, True, False]
        progress("28 x 28", record(3))  # a run that goes on there
        assert started() == [True, True, True]
        assert [task.completed for task in progress.bars.tasks] == [2, 0, 4]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"accuracy": 0.25}, "accuracy 25.0 %"),
        ({"accuracy": 0.25, "validation": 0.5}, "validation 50.0 %"),
        ({"accuracy": 0.25, "validation": None}, "accuracy 25.0 %"),
        ({}, "loss 1.5000, iteration"),
    ],
)
def test_what_is_known_is_said(more, words):
    assert words in lines_of({"only": 1}, [("only", record(0, **more))])[0]


def test_bars_on_a_terminal():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120)
    with LevelProgress(console, TOTALS) as progress:
        progress("7 x 7", record(1, validation=0.5))
        progress.bars.refresh()
    printed = stream.getvalue()
    assert "iteration" not in printed
    for words in ("7 x 7: loss 0.7500, validation 50.0 %", "14 x 14", "28 x 28", "2/2", "0/6"):
        assert words in printed


def test_coarse_and_fine_are_two_levels_of_one_length():
    assert TrainingProgress(Console(file=io.StringIO()), 11).totals == {"coarse": 11, "fine": 11}
