"""How many examples each term of a multilevel estimate gets: variance against cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refmg.architecture import Architecture
from refmg_backends import RefmgError

Vector = NDArray[np.float64]


def level_costs(levels: Sequence[Architecture]) -> tuple[float, ...]:
    """Return what the gradient of one example costs on each grid, that on the finest being 1.

    Parameters
    ----------
    levels : sequence of Architecture
        Finest first, alike but for the grid.

    Notes
    -----
    The model: every convolution, activation and product with the classifier's weights, forward and back,
    takes work in proportion to the cells. So a level costs ``cells / finest cells``, ``2^-d`` a halving.
    Moving the parameters is paid once a step, whatever the number of examples, and left out.

    Examples
    --------
    >>> level_costs([Architecture((n, n)) for n in (16, 8, 4)])
    (1.0, 0.25, 0.0625)
    """
    return tuple(a.grid.cells / levels[0].grid.cells for a in levels)


def term_costs(levels: Sequence[Architecture]) -> tuple[float, ...]:
    """Return what one example costs in each term, in gradients of one example on the finest grid.

    Parameters
    ----------
    levels : sequence of Architecture
        Finest first, alike but for the grid.

    Returns
    -------
    tuple of float
        A term that is a difference pays for both grids, the coarsest for its own, by :func:`level_costs`.

    Examples
    --------
    >>> term_costs([Architecture((n, n)) for n in (16, 8, 4)])
    (1.25, 0.3125, 0.0625)
    """
    own = level_costs(levels)
    return tuple(a + b for a, b in zip(own, (*own[1:], 0.0), strict=True))


def step_cost(examples: Sequence[int], costs: Sequence[float]) -> float:
    """Return the cost of a step.

    Examples
    --------
    >>> step_cost([8, 16], [1.25, 0.25])
    14.0
    """
    return float(sum(n * c for n, c in zip(examples, costs, strict=True)))


def optimal_examples(
    variances: Sequence[float], costs: Sequence[float], budget: float, most: int
) -> tuple[int, ...]:
    r"""Return the examples of each term that make the variance least at a given cost.

    Parameters
    ----------
    variances : sequence of float
        ``V_l`` of one example in each term.
    costs : sequence of float
        ``C_l`` of one example in each term.
    budget : float
        Cost of the step, in the same unit.
    most : int
        Examples that there are.

    Returns
    -------
    tuple of int
        1 or more each, rounded down, so that the budget is kept unless it is too small for 1 each. Terms
        that would get less than 1 get it at the expense of the others.

    Raises
    ------
    RefmgError
        If a variance is negative, a cost or the budget not positive, or one is not finite.

    Notes
    -----
    :math:`\sum V_l/n_l` is least under :math:`\sum n_l C_l = B` for :math:`n_l \sim \sqrt{V_l / C_l}`, and is
    then :math:`(\sum \sqrt{V_l C_l})^2 / B` (Giles, "Multilevel Monte Carlo methods", Acta Numerica 2015,
    section 1.3).

    Examples
    --------
    >>> optimal_examples([1.0, 64.0], [1.25, 0.25], budget=32.0, most=1000)
    (5, 100)
    >>> optimal_examples([0.0, 1.0], [1.25, 0.25], budget=2.0, most=1000)
    (1, 3)
    """
    V, C = np.asarray(variances, dtype=float), np.asarray(costs, dtype=float)
    good = np.isfinite([*V, *C, budget]).all() and (V >= 0).all() and (C > 0).all() and budget > 0
    if V.shape != C.shape or not good or most < 1:
        raise RefmgError(
            f"found variances {list(variances)}, costs {list(costs)}, a budget of {budget} and {most} "
            "examples; expected as many costs as variances, finite, no variance negative, all else positive"
        )
    return tuple(int(min(most, n)) for n in _at_least_one(V, C, budget))


def _at_least_one(V: Vector, C: Vector, budget: float) -> Vector:
    """Return real numbers of examples: 1 where the optimum is below, the optimum of the rest elsewhere."""
    found, free = np.ones_like(V), V > 0
    while free.any():
        left = budget - float(np.sum(C[~free]))
        wanted = left / float(np.sum(np.sqrt(V[free] * C[free]))) * np.sqrt(V[free] / C[free])
        if (wanted >= 1).all():
            found[free] = wanted
            return found
        # What these take leaves less for the others, of which more may now fall below 1.
        free[np.flatnonzero(free)[wanted < 1]] = False
    return found


def variance_ratio(variances: Sequence[float], costs: Sequence[float], single: float) -> float:
    r"""Return the least variance of the multilevel estimate by that of the single-level one at equal cost.

    Parameters
    ----------
    variances, costs : sequence of float
        ``V_l`` and ``C_l`` of each term.
    single : float
        Variance of one example's gradient on the finest grid, whose cost is 1.

    Returns
    -------
    float
        :math:`(\sum \sqrt{V_l C_l})^2 / V`, whatever the cost; below 1 where levels help.

    Examples
    --------
    >>> variance_ratio([0.0, 1.0], [1.25, 0.25], 1.0)
    0.25
    """
    return float(np.sum(np.sqrt(np.multiply(variances, costs))) ** 2 / single)
