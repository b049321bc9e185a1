"""Stencils of three by three taps to the 16 frequencies of minimal filtering, and sums over those back.

Both multiply the taps of each pair of channels by a matrix from two sides, in double precision:
``G = [[1, 0, 0], [1/2, 1/2, 1/2], [1/2, -1/2, 1/2], [0, 0, 1]]`` and its transpose, written out. For many
channels and few examples that is as much memory as a convolution passes through.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(inline="always")
def _to_four(a, b, c):
    """Return ``G (a, b, c)``."""
    outer, inner = 0.5 * (a + c), 0.5 * b
    return a, outer + inner, outer - inner, c


@njit(inline="always")
def _to_three(a, b, c, d):
    """Return ``G^T (a, b, c, d)``."""
    inner = 0.5 * (b + c)
    return a + inner, 0.5 * (b - c), inner + d


@njit(parallel=True, cache=True, nogil=True)
def to_frequencies(stencil, U):
    """Write ``G s G^T`` of stencils ``(C_out, C_in, 3, 3)`` into U, ``(16, C_out, C_in)``."""
    c_out, c_in = stencil.shape[:2]
    for o in prange(c_out):
        half = np.empty((4, 3, c_in))
        for i in range(c_in):
            s = stencil[o, i]
            for b in range(3):
                found = _to_four(np.float64(s[0, b]), np.float64(s[1, b]), np.float64(s[2, b]))
                half[0, b, i], half[1, b, i], half[2, b, i], half[3, b, i] = found
        for p in range(4):
            for i in range(c_in):
                found = _to_four(half[p, 0, i], half[p, 1, i], half[p, 2, i])
                U[4 * p, o, i], U[4 * p + 1, o, i], U[4 * p + 2, o, i], U[4 * p + 3, o, i] = found


@njit(parallel=True, cache=True, nogil=True)
def from_frequencies(M, stencil):
    """Write ``G^T m G`` of `M`, shape ``(16, C_out, C_in)``, into stencils ``(C_out, C_in, 3, 3)``."""
    c_out, c_in = stencil.shape[:2]
    for o in prange(c_out):
        half = np.empty((3, 4, c_in))
        for q in range(4):
            for i in range(c_in):
                low, high = np.float64(M[q, o, i]), np.float64(M[12 + q, o, i])
                found = _to_three(low, np.float64(M[4 + q, o, i]), np.float64(M[8 + q, o, i]), high)
                half[0, q, i], half[1, q, i], half[2, q, i] = found
        for i in range(c_in):
            s = stencil[o, i]
            for a in range(3):
                h = half[a]
                s[a, 0], s[a, 1], s[a, 2] = _to_three(h[0, i], h[1, i], h[2, i], h[3, i])
