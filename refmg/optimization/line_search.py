"""Backtracking to Armijo's condition of sufficient decrease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True)
class LineSearchResult:
    """A step length and the objective there; step 0 if none was good enough."""

    step: float
    value: float
    evaluations: int


def armijo(
    value_at: Callable[[float], float],
    value: float,
    slope: float,
    step: float = 1.0,
    decrease: float = 1e-4,
    halvings: int = 10,
) -> LineSearchResult:
    """Return the first of ``step, step/2, step/4, ..`` with sufficient decrease.

    Parameters
    ----------
    value_at : callable
        The objective at a step length.
    value, slope : float
        Objective and directional derivative at 0.
    step : float
        First trial.
    decrease : float
        Fraction of the linear prediction that must be reached.
    halvings : int
        Trials before it gives up.

    Returns
    -------
    LineSearchResult

    Notes
    -----
    Armijo (1966); Nocedal and Wright, Numerical Optimization, algorithm 3.1.

    Examples
    --------
    >>> armijo(lambda t: (3 * t - 1) ** 2, value=1.0, slope=-6.0)
    LineSearchResult(step=0.5, value=0.25, evaluations=2)
    >>> armijo(lambda t: (3 * t - 1) ** 2, value=1.0, slope=6.0)
    LineSearchResult(step=0.0, value=1.0, evaluations=0)
    """
    if not slope < 0:
        return LineSearchResult(0.0, value, 0)
    for trial in range(1, halvings + 1):
        found = value_at(step)
        if isfinite(found) and found <= value + decrease * step * slope:
            return LineSearchResult(step, found, trial)
        step /= 2
    return LineSearchResult(0.0, value, halvings)
