"""The passes over features of which batch normalisation consists, for any array-API namespace."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from refmg_backends.errors import check_shape

Array = Any


def check_channels(X: Array, **numbers: Array | None) -> None:
    """Refuse numbers that are not one a channel of features ``(C, cells, m)``.

    Raises
    ------
    RefmgError
        If a shape differs.
    """
    for what, array in numbers.items():
        if array is not None:
            check_shape(what, array.shape, X.shape[:1])


def _column(xp: ModuleType, x: Array) -> Array:
    return xp.reshape(x, (-1, 1, 1))


def moments(xp: ModuleType, X: Array) -> tuple[Array, Array]:
    """Return mean and biased variance of each channel.

    Examples
    --------
    >>> import numpy as np
    >>> moments(np, np.array([[[1.0, 3.0]]]))
    (array([2.]), array([1.]))
    """
    mean = xp.mean(X, axis=(1, 2))
    centred = X - _column(xp, mean)
    return mean, xp.mean(centred * centred, axis=(1, 2))


def normalized(
    xp: ModuleType, X: Array, mean: Array, scale: Array, shift: Array, base: Array | None, rectify: bool
) -> Array:
    """Return ``base + scale (X - mean) + shift``, its negative part cut off on request."""
    check_channels(X, mean=mean, scale=scale, shift=shift)
    Y = _column(xp, scale) * (X - _column(xp, mean)) + _column(xp, shift)
    if base is not None:
        check_shape("base", base.shape, X.shape)
        Y = Y + base
    return xp.where(Y < 0, xp.zeros_like(Y), Y) if rectify else Y


def rectified_sums(
    xp: ModuleType, P: Array, X: Array, mean: Array, Y: Array | None
) -> tuple[Array, Array, Array]:
    """Return ``Q = P`` where ``Y > 0``, its sums by channel, and those of ``Q (X - mean)``."""
    check_channels(X, mean=mean)
    check_shape("cotangent", P.shape, X.shape)
    if Y is not None:
        check_shape("output", Y.shape, X.shape)
    Q = P if Y is None else xp.where(Y > 0, P, xp.zeros_like(P))
    return Q, xp.sum(Q, axis=(1, 2)), xp.sum(Q * (X - _column(xp, mean)), axis=(1, 2))


def combined(xp: ModuleType, Q: Array, X: Array, mean: Array, a: Array, b: Array, c: Array) -> Array:
    """Return ``a Q + b (X - mean) + c`` with one a, b, c and mean a channel."""
    check_channels(X, mean=mean, a=a, b=b, c=c)
    check_shape("cotangent", Q.shape, X.shape)
    return _column(xp, a) * Q + _column(xp, b) * (X - _column(xp, mean)) + _column(xp, c)
