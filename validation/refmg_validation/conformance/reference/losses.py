"""Losses of one example: value, gradient and Hessian matrix; then of a classifier on a grid."""

from __future__ import annotations

from collections.abc import Callable
from math import fsum, prod

import numpy as np

from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.reference.arithmetic import dot, product, sigmoid, softmax, softplus

# Logits of one example and its label -> value, gradient, Hessian in the logits.
OneLoss = Callable[[Floats, int], tuple[float, Floats, Floats]]


def _softmax(z: Floats, label: int) -> tuple[float, Floats, Floats]:
    p, logarithm = softmax(z)
    return logarithm - float(z[label]), p - np.eye(len(z))[label], np.diag(p) - np.outer(p, p)


def _least_squares(z: Floats, label: int) -> tuple[float, Floats, Floats]:
    r = z - np.eye(len(z))[label]
    return 0.5 * dot(r, r), r, np.eye(len(z))


def _logistic(z: Floats, label: int) -> tuple[float, Floats, Floats]:
    sign = 2 * np.eye(len(z))[label] - 1
    p = sigmoid(z)
    return fsum(softplus(-sign * z).tolist()), p - np.eye(len(z))[label], np.diag(p * (1 - p))


def _margins(z: Floats, label: int) -> tuple[Floats, Floats]:
    """Return the positive margins and the matrix that takes logits to them."""
    A = np.eye(len(z)) - np.eye(len(z))[label]
    margins = 1 + z - z[label]
    active = (margins > 0) & (np.arange(len(z)) != label)
    return margins[active], A[active]


def _svm(z: Floats, label: int) -> tuple[float, Floats, Floats]:
    margins, A = _margins(z, label)
    return 0.5 * dot(margins, margins), product(A.T, margins), product(A.T, A)


def _hinge(z: Floats, label: int) -> tuple[float, Floats, Floats]:
    margins, A = _margins(z, label)
    return fsum(margins.tolist()), product(A.T, np.ones(len(A))), np.zeros((len(z), len(z)))


LOSSES: dict[str, OneLoss] = {
    "softmax": _softmax,
    "least-squares": _least_squares,
    "logistic": _logistic,
    "svm": _svm,
    "hinge": _hinge,
}


def cell_volume(W: Floats) -> float:
    """Return ``h^d`` of the grid on which weights ``(C, n_1, .., n_d, classes)`` lie."""
    return 1.0 / prod(W.shape[1:-1])


def logits(features: Floats, W: Floats, mu: Floats) -> Floats:
    """Return ``h^d W^T y + mu``, shape ``(classes, m)``.

    Examples
    --------
    >>> logits(np.ones((1, 4, 1)), np.ones((1, 4, 2)), np.array([0.0, 1.0])).ravel()
    array([1., 2.])
    """
    flat = W.reshape(-1, W.shape[-1])
    return product(cell_volume(W) * flat.T, features.reshape(len(flat), -1)) + mu[:, None]


def mean_loss(loss: str, Z: Floats, labels: Floats) -> tuple[float, Floats, Floats]:
    """Return the mean loss of logits ``(classes, m)``, its gradient, and its Hessian on ``Z.ravel()``."""
    m = Z.shape[1]
    parts = [LOSSES[loss](Z[:, e], int(labels[e])) for e in range(m)]
    hessian = np.zeros((len(Z), m, len(Z), m))
    for e, (_, _, H) in enumerate(parts):
        hessian[:, e, :, e] = H / m
    value = fsum(part[0] for part in parts) / m
    return value, np.stack([part[1] for part in parts], axis=1) / m, hessian.reshape(Z.size, Z.size)


def classifier_loss(
    loss: str, features: Floats, W: Floats, mu: Floats, labels: Floats
) -> tuple[Floats, float, Floats, Floats, Floats]:
    """Return logits and value, and the gradients in features, W and mu."""
    Z = logits(features, W, mu)
    value, G, _ = mean_loss(loss, Z, labels)
    flat, h = W.reshape(-1, W.shape[-1]), cell_volume(W)
    by_weights = product(h * features.reshape(len(flat), -1), G.T).reshape(W.shape)
    by_biases = product(G, np.ones(G.shape[1]))
    return Z, value, product(h * flat, G).reshape(features.shape), by_weights, by_biases


def logits_jacobian(features: Floats, W: Floats) -> Floats:
    """Return the derivative of ``logits.ravel()`` by W and mu, as a dense matrix."""
    classes, m = W.shape[-1], features.shape[-1]
    Y = cell_volume(W) * features.reshape(-1, m)
    each = np.eye(classes)[:, None, None, :] * Y.T[None, :, :, None]  # class, example, feature, class
    by_weights = each.reshape(classes * m, -1)
    return np.hstack([by_weights, np.repeat(np.eye(classes), m, axis=0)])


def hessian(loss: str, features: Floats, W: Floats, mu: Floats, labels: Floats) -> Floats:
    """Return the Hessian of the mean loss in W and mu, as a dense matrix."""
    A = logits_jacobian(features, W)
    return product(A.T, mean_loss(loss, logits(features, W, mu), labels)[2], A)
