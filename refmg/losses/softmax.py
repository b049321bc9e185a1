r"""Softmax with cross-entropy, :math:`\log \sum_c e^{z_c} - z_{\mathrm{label}}`."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from refmg.losses.loss import LossPoint
from refmg_backends import Curvature
from refmg_backends.backend import Array


def softmax(xp: ModuleType, logits: Array) -> Array:
    """Return class probabilities, shape ``(classes, m)``.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np, np.array([[1e4], [1e4], [-1e4]])).ravel()
    array([0.5, 0.5, 0. ])
    """
    powers = xp.exp(logits - xp.max(logits, axis=0, keepdims=True))
    return powers / xp.sum(powers, axis=0, keepdims=True)


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Cross-entropy of the softmax of the logits.

    Notes
    -----
    The maximum is subtracted first, so that nothing overflows. The Hessian is ``diag(p) - p p^T`` for
    each example: symmetric, positive semidefinite, zero on constants.

    Examples
    --------
    >>> import numpy as np
    >>> print(f"{SoftmaxCrossEntropy().value(np, np.zeros((2, 1)), np.array([[1.0], [0.0]])):.6f}")
    0.693147
    """

    name = "softmax"
    shift_invariant = True

    def value(self, xp: ModuleType, logits: Array, targets: Array) -> Array:
        """Return the loss, summed over examples."""
        shifted = logits - xp.max(logits, axis=0, keepdims=True)
        normalisers = xp.log(xp.sum(xp.exp(shifted), axis=0))
        return xp.sum(normalisers - xp.sum(targets * shifted, axis=0))

    def linearize(self, xp: ModuleType, logits: Array, targets: Array) -> LossPoint:
        """Return loss, gradient ``p - target`` and Hessians."""
        p = softmax(xp, logits)
        column = p[None, ...]
        return LossPoint(self.value(xp, logits, targets), p - targets, Curvature(xp, p, column, column))
