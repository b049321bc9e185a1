"""Stencils of three by three taps to the 16 frequencies of minimal filtering, and sums over those back.

Both multiply the taps of each pair of channels by a small matrix from two sides, in double precision, which
for many channels is as much memory as a convolution of few examples passes through: one pass, row by row.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(nogil=True)
def _both_sides(T, X, half, out):
    """Write ``T x T^T`` for each matrix x of `X`, shape ``(n, n, count)``, into `out`, ``(k, k, count)``."""
    k, n = T.shape
    for p in range(k):
        for b in range(n):
            half[p, b] = 0
            for a in range(n):
                if T[p, a] != 0:
                    _add(T[p, a], X[a, b], half[p, b])
    for p in range(k):
        for q in range(k):
            out[p, q] = 0
            for b in range(n):
                if T[q, b] != 0:
                    _add(T[q, b], half[p, b], out[p, q])


@njit(nogil=True)
def _add(factor, x, total):
    for i in range(len(x)):
        total[i] += factor * x[i]


@njit(parallel=True, cache=True, nogil=True)
def to_frequencies(T, stencil, U):
    """Write ``T s T^T`` of stencils ``(C_out, C_in, n, n)`` into U, ``(k^2, C_out, C_in)``."""
    k, n = T.shape
    c_out, c_in = stencil.shape[:2]
    for o in prange(c_out):
        taps, half, found = np.empty((n, n, c_in)), np.empty((k, n, c_in)), np.empty((k, k, c_in))
        for i in range(c_in):
            for a in range(n):
                for b in range(n):
                    taps[a, b, i] = stencil[o, i, a, b]
        _both_sides(T, taps, half, found)
        for p in range(k):
            for q in range(k):
                U[p * k + q, o] = found[p, q]


@njit(parallel=True, cache=True, nogil=True)
def from_frequencies(T, M, stencil):
    """Write ``T m T^T`` of `M`, shape ``(n^2, C_out, C_in)``, into stencils ``(C_out, C_in, k, k)``."""
    k, n = T.shape
    c_out, c_in = stencil.shape[:2]
    for o in prange(c_out):
        given, half, found = np.empty((n, n, c_in)), np.empty((k, n, c_in)), np.empty((k, k, c_in))
        for a in range(n):
            for b in range(n):
                given[a, b] = M[a * n + b, o]
        _both_sides(T, given, half, found)
        for i in range(c_in):
            for a in range(k):
                for b in range(k):
                    stencil[o, i, a, b] = found[a, b, i]
