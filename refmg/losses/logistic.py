r"""Logistic regression, one class against all others."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from refmg.losses.loss import LossPoint
from refmg_backends import diagonal_curvature
from refmg_backends.backend import Array


@dataclass(frozen=True)
class Logistic:
    r""":math:`\sum_c \log(1 + e^{-s_c z_c})` with :math:`s_c = 1` for the label, -1 for other classes.

    Notes
    -----
    The sum of PyTorch's ``binary_cross_entropy_with_logits``. Not invariant to shifts: each class has
    its own threshold.

    Examples
    --------
    >>> import numpy as np
    >>> float(Logistic().value(np, np.array([[1e4], [-1e4]]), np.array([[0.0], [1.0]])))
    20000.0
    """

    name = "logistic"
    shift_invariant = False

    def value(self, xp: ModuleType, logits: Array, targets: Array) -> Array:
        """Return the loss, summed over examples and classes."""
        margins = (1 - 2 * targets) * logits
        return xp.sum(xp.logaddexp(margins, xp.zeros_like(margins)))

    def linearize(self, xp: ModuleType, logits: Array, targets: Array) -> LossPoint:
        """Return loss, gradient ``sigmoid(z) - t`` and the diagonal Hessians."""
        # Of |z|, so that the exponential cannot overflow.
        decay = xp.exp(-xp.abs(logits))
        p = xp.where(logits < 0, decay, xp.ones_like(decay)) / (1 + decay)
        curvature = diagonal_curvature(xp, decay / (1 + decay) ** 2)
        return LossPoint(self.value(xp, logits, targets), p - targets, curvature)
