"""The time left for many paths, from the work done so far in this process."""

from __future__ import annotations

from time import monotonic

MINUTE, HOUR = 60, 3600


class RunClock:
    """Seconds left of a run whose position is told in units of work.

    Work that former processes did moves the position, and says nothing of this one's speed.

    Parameters
    ----------
    total : float
        Of the whole run.

    Examples
    --------
    >>> clock = RunClock(10.0)
    >>> clock.left() is None
    True
    """

    def __init__(self, total: float) -> None:
        self.total, self.position = total, 0.0
        self._work, self._seconds, self._last = 0.0, 0.0, monotonic()

    def reached(self, position: float, saved: bool = False) -> None:
        """Take note of a position: work done just now, or before this process began."""
        now = monotonic()
        if not saved:
            self._work += position - self.position
            self._seconds += now - self._last
        self.position, self._last = position, now

    def left(self) -> float | None:
        """Return the seconds left at the speed so far; None where nothing was done yet."""
        if self._work <= 0:
            return None
        return max(0.0, self._seconds / self._work * (self.total - self.position))


def in_words(seconds: float) -> str:
    """Return a time as one says it.

    Examples
    --------
    >>> in_words(45.2), in_words(600), in_words(9000)
    ('45 s', '10 min', '2.5 h')
    """
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"
