r"""Multi-class support vector machines: sums of the margins :math:`\max(0, 1 + z_c - z_{label})`."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from refmg.losses.loss import LossPoint
from refmg_backends import Curvature, diagonal_curvature
from refmg_backends.backend import Array


def _margins(xp: ModuleType, logits: Array, targets: Array) -> Array:
    own = xp.sum(targets * logits, axis=0, keepdims=True)
    margins = (1 - targets) * (1 + logits - own)
    return xp.maximum(margins, xp.zeros_like(margins))


def _transpose(xp: ModuleType, G: Array, targets: Array) -> Array:
    """Return the adjoint of ``dz -> dz_c - dz_label`` for `G` that is zero at the label."""
    return G - targets * xp.sum(G, axis=0, keepdims=True)


@dataclass(frozen=True)
class SquaredHinge:
    r"""The smooth one, :math:`\tfrac12 \sum_{c \ne label} \max(0, 1 + z_c - z_{label})^2`.

    Notes
    -----
    Weston and Watkins (1999), squared; PyTorch's ``multi_margin_loss(p=2)`` times classes / 2. Once
    continuously differentiable; the Hessian is the generalised one, which counts positive margins.

    Examples
    --------
    >>> import numpy as np
    >>> float(SquaredHinge().value(np, np.array([[0.0], [2.0], [-5.0]]), np.array([[1.0], [0.0], [0.0]])))
    4.5
    """

    name = "svm"
    shift_invariant = True

    def value(self, xp: ModuleType, logits: Array, targets: Array) -> Array:
        """Return the loss, summed over examples."""
        return 0.5 * xp.sum(_margins(xp, logits, targets) ** 2)

    def linearize(self, xp: ModuleType, logits: Array, targets: Array) -> LossPoint:
        """Return loss, gradient and generalised Hessians."""
        margins = _margins(xp, logits, targets)
        active = xp.astype(margins > 0, margins.dtype)
        count = xp.sum(active, axis=0, keepdims=True)
        # The sum of (e_c - t)(e_c - t)^T over the classes c with a positive margin, t the label's.
        left, right = xp.stack([active, targets]), xp.stack([targets, active - count * targets])
        curvature = Curvature(xp, active, left, right)
        return LossPoint(0.5 * xp.sum(margins**2), _transpose(xp, margins, targets), curvature)


@dataclass(frozen=True)
class Hinge:
    r"""The hinge, :math:`\sum_{c \ne label} \max(0, 1 + z_c - z_{label})`.

    Notes
    -----
    Weston and Watkins (1999); PyTorch's ``multi_margin_loss(p=1)`` times classes. At a kink the
    subgradient of a margin is 0. The Hessian is zero wherever it exists: a second-order method then
    sees the regulariser alone, so take ``"svm"`` for Gauss-Newton and Newton.

    Examples
    --------
    >>> import numpy as np
    >>> float(Hinge().value(np, np.array([[0.0], [2.0], [-5.0]]), np.array([[1.0], [0.0], [0.0]])))
    3.0
    """

    name = "hinge"
    shift_invariant = True

    def value(self, xp: ModuleType, logits: Array, targets: Array) -> Array:
        """Return the loss, summed over examples."""
        return xp.sum(_margins(xp, logits, targets))

    def linearize(self, xp: ModuleType, logits: Array, targets: Array) -> LossPoint:
        """Return loss, subgradient and zero."""
        margins = _margins(xp, logits, targets)
        active = xp.astype(margins > 0, margins.dtype)
        flat = diagonal_curvature(xp, xp.zeros_like(margins))
        return LossPoint(xp.sum(margins), _transpose(xp, active, targets), flat)
