"""How long a run may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from refmg_validation.ranks import once

Results = list[dict[str, Any]]


class TimeIsUpError(Exception):
    """The time that was given is over; everything is saved.

    Parameters
    ----------
    results : list of dict, optional
        Of the stages that have ended.
    """

    def __init__(self, results: Results | None = None) -> None:
        super().__init__("the time that was given is over")
        self.results: Results = results or []


@dataclass
class Deadline:
    """A limit of the time of this process.

    Parameters
    ----------
    seconds : float
        From now on.

    Examples
    --------
    >>> deadline = Deadline(0.0)
    >>> deadline.check()
    Traceback (most recent call last):
        ...
    refmg_validation.imagenet10.deadline.TimeIsUpError: the time that was given is over
    >>> deadline.is_over
    True
    """

    seconds: float = float("inf")
    begin: float = field(default_factory=monotonic)
    last: float = field(default_factory=monotonic)
    piece: float = 0.0
    cost: float = 1.0
    is_over: bool = False

    def begins(self, cost: float) -> None:
        """Raise :class:`TimeIsUpError` if the first piece of a stage would be too late.

        Never before this process has done a piece: each call of the command gets somewhere.

        Parameters
        ----------
        cost : float
            Of its pieces, in any unit: a fine epoch takes several times as long as the coarse one before.
        """
        self.piece, self.cost = self.piece * cost / self.cost, cost
        if self.piece:
            self._stop_if(once(self._is_late))

    def check(self) -> None:
        """Raise :class:`TimeIsUpError` if another piece as long as the last one would be too late.

        Of ranks that train together the first one says so for all: clocks differ.
        """
        now = monotonic()
        self.piece, self.last = now - self.last, now
        self._stop_if(once(self._is_late))

    def _stop_if(self, late: bool) -> None:
        if late:
            self.is_over = True
            raise TimeIsUpError

    def _is_late(self) -> bool:
        return monotonic() - self.begin + self.piece > self.seconds
