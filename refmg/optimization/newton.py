"""Inexact Newton steps: conjugate gradients for the direction, Armijo or Wolfe for the length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from refmg.evaluation import Product
from refmg.optimization.conjugate_gradient import CGResult, conjugate_gradient
from refmg.optimization.line_search import armijo, wolfe
from refmg_backends.backend import Array


@dataclass(frozen=True)
class NewtonStep:
    """One accepted (or refused) step.

    Attributes
    ----------
    x : array, shape (n,)
        The new point; the old one if ``step`` is 0.
    value : float
        The objective there.
    gradient_norm : float
        At the old point, in the Euclidean norm.
    step : float
        Step length; 0 if Armijo's condition was never met.
    cg : CGResult
        How the direction was found.
    evaluations : int
        Of the objective, in the line search.
    """

    x: Array
    value: float
    gradient_norm: float
    step: float
    cg: CGResult
    evaluations: int

    @property
    def products(self) -> int:
        """Products with the matrix."""
        # CG counts those that changed its solution; one that found negative curvature did not.
        return self.cg.iterations + (self.cg.reason == "curvature")


def newton_step(
    xp: ModuleType,
    value: Callable[[Array], float],
    point: tuple[Array, float, Array, Product],
    precondition: Product | None = None,
    cg_iterations: int = 10,
    cg_tolerance: float = 1e-2,
    value_and_gradient: Callable[[Array], tuple[float, Array]] | None = None,
    along: Callable[[Array], Callable[[float], float]] | None = None,
) -> NewtonStep:
    """Take one step with a (Gauss-)Newton matrix.

    Parameters
    ----------
    xp : module
        Array namespace.
    value : callable
        The objective.
    point : tuple
        The point, the objective, its gradient and the product with the matrix there.
    precondition : callable, optional
        For conjugate gradients.
    cg_iterations, cg_tolerance
        As in :func:`conjugate_gradient`.
    value_and_gradient : callable, optional
        If given, the step length meets Wolfe's conditions, else Armijo's.
    along : callable, optional
        From a direction to the objective as a function of the step length, where that is cheaper than
        `value`, which it then replaces.

    Returns
    -------
    NewtonStep

    Notes
    -----
    What decisions need is read from the device: with k iterations of conjugate gradients, ``2 k + 1``
    numbers there, the slope, the norm of the gradient, and what the objective reads at each trial.

    Examples
    --------
    >>> import numpy as np
    >>> square = lambda x: float(np.sum((x - 1) ** 2))
    >>> x = np.zeros(2)
    >>> newton_step(np, square, (x, 2.0, 2 * (x - 1), lambda v: 2 * v)).x
    array([1., 1.])
    """
    x, start, gradient, product = point
    cg = conjugate_gradient(xp, product, -gradient, precondition, cg_iterations, cg_tolerance)
    slope = float(xp.sum(gradient * cg.x))

    def line(t: float) -> tuple[float, float]:
        found, g = value_and_gradient(x + t * cg.x)  # type: ignore[misc]
        return found, float(xp.sum(g * cg.x))

    if value_and_gradient is None:
        search = armijo(along(cg.x) if along else (lambda t: value(x + t * cg.x)), start, slope)
    else:
        search = wolfe(line, start, slope)
    norm = float(xp.sum(gradient * gradient)) ** 0.5
    reached = x if search.step == 0 else x + search.step * cg.x
    return NewtonStep(reached, search.value, norm, search.step, cg, search.evaluations)
