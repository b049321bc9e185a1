"""Timing one call: the median of several, with their spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Any

REPEATS, SHORTEST, LONGEST = 9, 5, 20.0


@dataclass(frozen=True)
class Timing:
    """Seconds of a call.

    Attributes
    ----------
    median : float
        Of all counted calls.
    spread : float
        Distance of the quartiles divided by the median.
    """

    median: float
    spread: float

    def as_dict(self, flops: float | None = None) -> dict[str, float]:
        """Return what is recorded: milliseconds, spread, and with `flops` the rate."""
        found = {"ms": round(1e3 * self.median, 4), "spread": round(self.spread, 3)}
        return found if flops is None else found | {"GF/s": round(flops / self.median / 1e9, 1)}


def time_call(function: Callable[[], Any], wait: Callable[[], Any] | None = None) -> Timing:
    """Return the timing of a call, after one that is not counted.

    Parameters
    ----------
    function : callable
        What is timed. Long calls are repeated 5 times, others 9.
    wait : callable, optional
        Waits for work that the call has only begun, as on a GPU.

    Examples
    --------
    >>> time_call(lambda: sum(range(1000))).median > 0
    True
    """
    (found,) = time_in_turns([function], wait)
    return found


def time_in_turns(calls: Sequence[Callable[[], Any]], wait: Callable[[], Any] | None = None) -> list[Timing]:
    """Return the timings of several calls that take turns, after one of each that is not counted.

    Examples
    --------
    >>> short, long = time_in_turns([lambda: sum(range(10)), lambda: sum(range(100000))])
    >>> short.median < long.median
    True
    """

    def once(call: Callable[[], Any]) -> float:
        start = perf_counter()
        call()
        if wait is not None:
            wait()
        return perf_counter() - start

    longest = max(once(call) for call in calls)
    repeats = REPEATS if longest * REPEATS < LONGEST else SHORTEST
    turns = [[once(call) for call in calls] for _ in range(repeats)]
    return [_timing(list(times)) for times in zip(*turns, strict=True)]


def _timing(times: list[float]) -> Timing:
    low, _, high = quantiles(times, n=4)
    return Timing(median(times), (high - low) / median(times))
