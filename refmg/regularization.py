r"""Quadratic regularisers, scaled so that a value means the same at every resolution and depth.

.. math::
   \tfrac{\alpha_W}{2} h^d \|\nabla_h W\|^2, \qquad
   \tfrac{\alpha_t}{2} \sum_k \|\theta_{k+1} - \theta_k\|^2 / dt, \qquad
   \tfrac{\alpha_0}{2} \Big(\|L\|^2 + dt \sum_k \|\theta_k\|^2\Big).

Each is given by the product with its symmetric matrix A: its value is ``<x, A x> / 2``, its gradient
``A x`` and its Hessian ``A``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from refmg.controls import Controls
from refmg.grid import Grid
from refmg_backends import RefmgError
from refmg_backends.backend import Array


@dataclass(frozen=True)
class Regularization:
    """The weights of the three regularisers.

    Parameters
    ----------
    alpha_W : float
        Smoothness in space of the classifier's weights.
    alpha_t : float
        Smoothness in time of stencils and biases.
    alpha_0 : float
        Size of opening, stencils and biases.

    Raises
    ------
    RefmgError
        If a weight is negative or not finite.
    """

    alpha_W: float = 0.0
    alpha_t: float = 0.0
    alpha_0: float = 0.0

    def __post_init__(self) -> None:
        """Refuse weights that make the problem unbounded."""
        for name in ("alpha_W", "alpha_t", "alpha_0"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise RefmgError(f"found {name} = {value}; expected a finite weight of at least 0")

    def of_controls(self, xp: ModuleType, x: Controls, dt: float) -> Controls:
        """Return ``A x`` for the controls, whose nodes are `dt` apart."""
        size, smooth = self.alpha_0, self.alpha_t / dt

        def in_time(theta: Array) -> Array:
            return size * dt * theta + smooth * second_difference(xp, theta, axis=0)

        return Controls(size * x.opening, in_time(x.stencils), in_time(x.biases))

    def value_of_controls(self, xp: ModuleType, x: Controls, dt: float) -> float:
        """Return ``<x, A x> / 2`` for the controls."""
        return 0.5 * float(xp.sum(x.flat(xp) * self.of_controls(xp, x, dt).flat(xp)))

    def of_weights(self, xp: ModuleType, W: Array, grid: Grid) -> Array:
        """Return ``A W`` for the classifier's weights of shape ``(C, n_1, .., n_d, classes)``."""
        total = xp.zeros_like(W)
        if not self.alpha_W:
            return total
        for axis, h in enumerate(grid.spacing, start=1):
            total = total + (self.alpha_W * grid.cell_volume / h**2) * second_difference(xp, W, axis)
        return total


def second_difference(xp: ModuleType, x: Array, axis: int) -> Array:
    """Return ``D^T D x`` with the differences ``D`` between neighbours along an axis.

    Parameters
    ----------
    xp : module
        Array namespace.
    x : array
        Anything with at least one entry along `axis`.
    axis : int
        The axis.

    Returns
    -------
    array
        Of the shape of `x`; zero for constants, as no difference crosses the ends.

    Examples
    --------
    >>> import numpy as np
    >>> second_difference(np, np.eye(3), axis=0)
    array([[ 1., -1.,  0.],
           [-1.,  2., -1.],
           [ 0., -1.,  1.]])
    """

    def part(start: int | None, stop: int | None) -> tuple[slice, ...]:
        return tuple(slice(start, stop) if i == axis else slice(None) for i in range(x.ndim))

    difference = x[part(1, None)] - x[part(None, -1)]
    end = xp.zeros_like(x[part(0, 1)])
    padded = xp.concat([end, difference, end], axis=axis)
    return padded[part(None, -1)] - padded[part(1, None)]
