"""Batch normalisation of the ``numba`` backend: checks, memory, and a call of the compiled loop."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends.errors import check_shape
from refmg_backends.normalization import check_channels
from refmg_backends.numba_kernels import normalize as loops
from refmg_backends.numba_kernels.memory import aligned_empty, whole_vectors

Real = NDArray[Any]


def _whole(*arrays: Real) -> list[Real]:
    return [whole_vectors(a, a.dtype, 1) for a in arrays]


def _rows(*arrays: Real) -> list[Real]:
    return [a.reshape(a.shape[0], -1) for a in _whole(*arrays)]


def moments(X: Real) -> tuple[Real, Real]:
    """Return mean and biased variance of each channel, in one pass."""
    (X,) = _whole(X)
    sums, count = np.empty((X.shape[0], loops.BLOCKS, 2)), X.shape[1] * X.shape[2]
    loops.moment_sums(X, sums)
    first, second = sums.sum(axis=1).T / count
    # Rounding may not make a variance negative.
    variance = np.maximum(second - first * first, 0)
    return (X[:, 0, 0] + first).astype(X.dtype), variance.astype(X.dtype)


def normalized(X: Real, mean: Real, scale: Real, shift: Real, base: Real | None, rectify: bool) -> Real:
    """Return ``base + scale (X - mean) + shift``, in one pass."""
    check_channels(X, mean=mean, scale=scale, shift=shift)
    out = aligned_empty(X.shape, X.dtype)
    if base is not None:
        check_shape("base", base.shape, X.shape)
    under = out if base is None else base
    flat, below, result = _rows(X, under, out)
    mean, scale, shift = _whole(mean, scale, shift)
    loops.normalize(flat, mean, scale, shift, below, base is not None, rectify, result)
    return out


def rectified_sums(P: Real, X: Real, mean: Real, Y: Real | None) -> tuple[Real, Real, Real]:
    """Return ``Q = P`` where ``Y > 0``, and sums of Q and of ``Q (X - mean)``, in one pass."""
    check_channels(X, mean=mean)
    check_shape("cotangent", P.shape, X.shape)
    if Y is not None:
        check_shape("output", Y.shape, X.shape)
    P, X, mean = _whole(P, X, mean)
    Q = P if Y is None else aligned_empty(P.shape, P.dtype)
    sums = np.empty((X.shape[0], loops.BLOCKS, 2))
    loops.rectified_sums(P, X, mean, P if Y is None else _whole(Y)[0], Y is not None, Q, sums)
    first, second = sums.sum(axis=1).T.astype(X.dtype)
    return Q, first, second


def combined(Q: Real, X: Real, mean: Real, a: Real, b: Real, c: Real) -> Real:
    """Return ``a Q + b (X - mean) + c``, in one pass."""
    check_channels(X, mean=mean, a=a, b=b, c=c)
    check_shape("cotangent", Q.shape, X.shape)
    out = aligned_empty(X.shape, X.dtype)
    Q, X, result = _rows(Q, X, out)
    mean, a, b, c = _whole(mean, a, b, c)
    loops.combine(Q, X, mean, a, b, c, result)
    return out
