"""Hessians of losses in the logits, as data that a kernel can read."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Curvature:
    r"""For each example a diagonal minus products of columns, :math:`C z = d \circ z - \sum_r l_r (r_r^T z)`.

    Parameters
    ----------
    xp : module
        Array namespace.
    diagonal : array, shape (classes, m)
        ``d``, one column an example.
    left, right : array, shape (rank, classes, m)
        The columns ``l_r`` and ``r_r``; the rank may be 0.

    Examples
    --------
    The Hessian ``diag(p) - p p^T`` of the softmax, for one example with probabilities 3/4 and 1/4:

    >>> import numpy as np
    >>> p = np.array([[0.75], [0.25]])
    >>> C = Curvature(np, p, p[None], p[None])
    >>> np.hstack([C.product(e[:, None]) for e in np.eye(2)])
    array([[ 0.1875, -0.1875],
           [-0.1875,  0.1875]])
    """

    xp: ModuleType
    diagonal: Any
    left: Any
    right: Any

    def product(self, logits: Any) -> Any:
        """Return the Hessians times a direction of the logits, shape ``(classes, m)``."""
        total = self.diagonal * logits
        for k in range(self.left.shape[0]):
            along = self.xp.sum(self.right[k, ...] * logits, axis=0, keepdims=True)
            total = total - self.left[k, ...] * along
        return total

    def of(self, examples: slice) -> Curvature:
        """Return those of some examples."""
        parts = (a[..., examples] for a in (self.diagonal, self.left, self.right))
        return Curvature(self.xp, *parts)


def diagonal_curvature(xp: ModuleType, diagonal: Any) -> Curvature:
    """Return Hessians that are diagonal.

    Examples
    --------
    >>> import numpy as np
    >>> diagonal_curvature(np, np.ones((2, 1))).product(np.array([[3.0], [4.0]])).tolist()
    [[3.0], [4.0]]
    """
    none = xp.zeros((0, *diagonal.shape), dtype=diagonal.dtype)
    return Curvature(xp, diagonal, none, none)
