"""Batch normalisation: each function one pass over memory, sums in float64."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

BLOCKS = 8  # parts of each channel's sums; fixed, so that no result depends on the number of threads


@njit(parallel=True, cache=True, nogil=True)
def moment_sums(X, sums):
    """Write sums of ``X - x0`` and of its square, by channel and block; x0 is the channel's first number.

    `X` has shape ``(C, cells, m)``, `sums` ``(C, BLOCKS, 2)``. About a sample of them, a variance far below
    the mean's square keeps its digits.
    """
    channels, cells, m = X.shape
    for u in prange(channels * BLOCKS):
        c, j = u // BLOCKS, u % BLOCKS
        x0 = np.float64(X[c, 0, 0])
        # One sum an example, so that the additions are vectors and nothing is reordered.
        first, second = np.zeros(m), np.zeros(m)
        for i in range(j * cells // BLOCKS, (j + 1) * cells // BLOCKS):
            for l in range(m):
                d = np.float64(X[c, i, l]) - x0
                first[l] += d
                second[l] += d * d
        sums[c, j, 0], sums[c, j, 1] = first.sum(), second.sum()


@njit(parallel=True, cache=True, nogil=True)
def normalize(X, mean, scale, shift, base, use_base, rectify, out):
    """Write ``base + scale (X - mean) + shift``, cut off below 0 with `rectify`; arrays ``(C, size)``."""
    channels, size = X.shape
    for u in prange(channels * BLOCKS):
        c, j = u // BLOCKS, u % BLOCKS
        a, b, mu, zero = scale[c], shift[c], mean[c], X.dtype.type(0)
        for i in range(j * size // BLOCKS, (j + 1) * size // BLOCKS):
            y = a * (X[c, i] - mu) + b
            if use_base:
                y += base[c, i]
            # NaN is not below 0, so it stays.
            out[c, i] = zero if rectify and y < zero else y


@njit(parallel=True, cache=True, nogil=True)
def rectified_sums(P, X, mean, Y, use_output, Q, sums):
    """Write ``Q = P`` where ``Y > 0``, and sums of Q and ``Q (X - mean)`` by channel and block."""
    channels, cells, m = X.shape
    for u in prange(channels * BLOCKS):
        c, j = u // BLOCKS, u % BLOCKS
        mu, zero = mean[c], X.dtype.type(0)
        first, second = np.zeros(m), np.zeros(m)
        for i in range(j * cells // BLOCKS, (j + 1) * cells // BLOCKS):
            for l in range(m):
                q = P[c, i, l]
                if use_output:
                    q = q if Y[c, i, l] > zero else zero
                    Q[c, i, l] = q
                first[l] += q
                second[l] += np.float64(q) * (X[c, i, l] - mu)
        sums[c, j, 0], sums[c, j, 1] = first.sum(), second.sum()


@njit(parallel=True, cache=True, nogil=True)
def combine(Q, X, mean, a, b, c_, out):
    """Write ``a Q + b (X - mean) + c``; arrays ``(C, size)``."""
    channels, size = X.shape
    for u in prange(channels * BLOCKS):
        c, j = u // BLOCKS, u % BLOCKS
        p, q, r, mu = a[c], b[c], c_[c], mean[c]
        for i in range(j * size // BLOCKS, (j + 1) * size // BLOCKS):
            out[c, i] = p * Q[c, i] + (q * (X[c, i] - mu) + r)
