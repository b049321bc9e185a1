"""Preconditioned conjugate gradients that stop at directions of negative curvature."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType

from refmg.evaluation import Product
from refmg_backends.backend import Array


@dataclass(frozen=True)
class CGResult:
    """What :func:`conjugate_gradient` found.

    Attributes
    ----------
    x : array, shape (n,)
        The approximate solution; 0 if even the right-hand side has negative curvature.
    reason : {"converged", "iterations", "curvature"}
        Why it stopped.
    residuals : list of float
        Norms of the (preconditioned) residual relative to the first, one an iteration.
    """

    x: Array
    reason: str
    residuals: list[float] = field(default_factory=list)

    @property
    def iterations(self) -> int:
        """Number of products with the matrix that changed the solution."""
        return len(self.residuals)


def conjugate_gradient(
    xp: ModuleType,
    product: Product,
    b: Array,
    precondition: Product | None = None,
    max_iterations: int = 10,
    tolerance: float = 1e-2,
) -> CGResult:
    """Solve ``A x = b`` for a symmetric positive semidefinite A, approximately.

    Parameters
    ----------
    xp : module
        Array namespace.
    product : callable
        ``A v``.
    b : array, shape (n,)
        Right-hand side.
    precondition : callable, optional
        ``M^-1 v`` with M symmetric positive definite.
    max_iterations : int
        At most so many products.
    tolerance : float
        Stop when the residual in the norm of ``M^-1`` has fallen to this fraction of the first.

    Returns
    -------
    CGResult

    Notes
    -----
    Hestenes and Stiefel (1952). From ``x = 0`` every iterate is a descent direction for ``b = -g``,
    also when stopped early, which makes inexact Newton steps safe. An iteration reads two numbers from the
    device, curvature and residual, on which it decides; one more is read before the first.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> result = conjugate_gradient(np, lambda v: A @ v, np.array([3.0, 4.0]), tolerance=1e-12)
    >>> result.x.round(12), result.iterations, result.reason
    (array([1., 1.]), 2, 'converged')
    """
    apply = precondition or (lambda v: v)
    x, r = xp.zeros_like(b), b
    z = apply(r)
    d, rho = z, float(xp.sum(r * z))
    first, residuals = rho, list[float]()
    if rho == 0:
        return CGResult(x, "converged")
    for _ in range(max_iterations):
        Ad = product(d)
        curvature = float(xp.sum(d * Ad))
        if curvature <= 0:
            return CGResult(x, "curvature", residuals)
        step = rho / curvature
        x, r = x + step * d, r - step * Ad
        z = apply(r)
        rho, previous = float(xp.sum(r * z)), rho
        residuals.append((max(rho, 0.0) / first) ** 0.5)
        if residuals[-1] <= tolerance:
            return CGResult(x, "converged", residuals)
        d = z + (rho / previous) * d
    return CGResult(x, "iterations", residuals)
