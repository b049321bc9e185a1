r"""Least squares, :math:`\tfrac12 \|z - t\|^2` with one-hot t."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from refmg.losses.loss import LossPoint
from refmg_backends import diagonal_curvature
from refmg_backends.backend import Array


@dataclass(frozen=True)
class LeastSquares:
    """Half the squared distance of logits and one-hot labels; not invariant to shifts.

    Examples
    --------
    >>> import numpy as np
    >>> float(LeastSquares().value(np, np.array([[3.0], [0.0]]), np.array([[1.0], [0.0]])))
    2.0
    """

    name = "least-squares"
    shift_invariant = False

    def value(self, xp: ModuleType, logits: Array, targets: Array) -> Array:
        """Return the loss, summed over examples."""
        return 0.5 * xp.sum((logits - targets) ** 2)

    def linearize(self, xp: ModuleType, logits: Array, targets: Array) -> LossPoint:
        """Return loss, gradient ``z - t`` and the identity."""
        identity = diagonal_curvature(xp, xp.ones_like(logits))
        return LossPoint(self.value(xp, logits, targets), logits - targets, identity)
