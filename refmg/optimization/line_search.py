"""Step lengths: backtracking to Armijo's condition, bisection to Wolfe's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite


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


def wolfe(
    value_and_slope_at: Callable[[float], tuple[float, float]],
    value: float,
    slope: float,
    step: float = 1.0,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    trials: int = 30,
) -> LineSearchResult:
    """Return a step with sufficient decrease where the slope has risen enough: Wolfe's weak conditions.

    Parameters
    ----------
    value_and_slope_at : callable
        Objective and directional derivative at a step length.
    value, slope : float
        Objective and directional derivative at 0.
    step : float
        First trial.
    decrease, curvature : float
        Fractions of the slope, ``0 < decrease < curvature < 1``.
    trials : int
        Trials before it gives up with the longest step of sufficient decrease that it saw.

    Returns
    -------
    LineSearchResult

    Notes
    -----
    Bisection of Lewis and Overton, Math. Programming 141 (2013), algorithm 2.6: finds such a step
    whenever the objective is bounded below along the direction.

    Examples
    --------
    >>> wolfe(lambda t: ((t - 10) ** 2, 2 * (t - 10)), value=100.0, slope=-20.0, curvature=0.5)
    LineSearchResult(step=8.0, value=4.0, evaluations=4)
    """
    if not slope < 0:
        return LineSearchResult(0.0, value, 0)
    low, high, best = 0.0, inf, value
    for trial in range(1, trials + 1):
        found, rise = value_and_slope_at(step)
        if not (isfinite(found) and found <= value + decrease * step * slope):
            high = step
        elif rise < curvature * slope:
            low, best = step, found
        else:
            return LineSearchResult(step, found, trial)
        step = 2 * low if high == inf else (low + high) / 2
    return LineSearchResult(low, best, trials)
