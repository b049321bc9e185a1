"""One check: a measured error against a bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes
    ----------
    name : str
        What was compared with what.
    error : float
        As measured; NaN fails.
    bound : float
        The largest error that passes.
    remark : str
        Where the bound comes from, or what else is worth saying.
    """

    name: str
    error: float
    bound: float
    remark: str = ""

    @property
    def passed(self) -> bool:
        """Whether the error is within the bound."""
        return bool(self.error <= self.bound)

    @property
    def exact(self) -> bool:
        """Whether nothing but 0 passes."""
        return self.bound == 0
