"""Softmax with cross-entropy: value, gradient and Hessian in the logits."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from refmg_backends import RefmgError
from refmg_backends.backend import Array


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return class probabilities of certain labels.

    Parameters
    ----------
    labels : ndarray of int, shape (m,)
        Between 0 and ``classes - 1``.
    classes : int
        Number of classes.

    Returns
    -------
    ndarray of float64, shape (classes, m)

    Raises
    ------
    RefmgError
        If a label is out of range.

    Examples
    --------
    >>> one_hot(np.array([1, 0]), 2)
    array([[0., 1.],
           [1., 0.]])
    """
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise RefmgError(
            f"found labels from {labels.min()} to {labels.max()} for {classes} classes; expected 0 to "
            f"{classes - 1}: give the architecture as many classes as the data has"
        )
    return np.eye(classes)[:, labels]


def softmax(xp: ModuleType, logits: Array) -> Array:
    """Return class probabilities, shape ``(classes, m)``."""
    powers = xp.exp(logits - xp.max(logits, axis=0, keepdims=True))
    return powers / xp.sum(powers, axis=0, keepdims=True)


def cross_entropy(xp: ModuleType, logits: Array, targets: Array) -> float:
    r"""Return :math:`-\sum_{e} \log p_{e}(\mathrm{label}_e)`, summed over examples.

    Parameters
    ----------
    xp : module
        Array namespace.
    logits, targets : array, shape (classes, m)
        Logits, and one-hot labels.

    Returns
    -------
    float

    Examples
    --------
    >>> print(f"{cross_entropy(np, np.zeros((2, 1)), np.array([[1.0], [0.0]])):.6f}")
    0.693147
    """
    shifted = logits - xp.max(logits, axis=0, keepdims=True)
    normalisers = xp.log(xp.sum(xp.exp(shifted), axis=0))
    return float(xp.sum(normalisers - xp.sum(targets * shifted, axis=0)))


def cross_entropy_gradient(probabilities: Array, targets: Array) -> Array:
    """Return the gradient of :func:`cross_entropy` in the logits, ``p - target``."""
    return probabilities - targets


def cross_entropy_hessian(xp: ModuleType, probabilities: Array, direction: Array) -> Array:
    """Return the Hessian of :func:`cross_entropy` in the logits times `direction`.

    It is ``(diag(p) - p p^T)`` for each example: symmetric, positive semidefinite, zero on constants.
    """
    weighted = probabilities * direction
    return weighted - probabilities * xp.sum(weighted, axis=0, keepdims=True)
