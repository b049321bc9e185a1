"""The linear parts of a residual step's tangent and adjoint, each one pass over memory."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

_SUM_BLOCKS = 8  # fixed, so that sums do not depend on the number of threads


@njit(parallel=True, cache=True, nogil=True)
def tangent(slope, X, bias, base, use_base, scale, out):
    """Write ``base + scale * slope * (X + bias)``; every array of shape ``(C, size)``, bias ``(C,)``."""
    channels, size = X.shape
    for u in prange(channels * _SUM_BLOCKS):
        c, j = u // _SUM_BLOCKS, u % _SUM_BLOCKS
        b = bias[c]
        for i in range(j * size // _SUM_BLOCKS, (j + 1) * size // _SUM_BLOCKS):
            rate = scale * (slope[c, i] * (X[c, i] + b))
            out[c, i] = base[c, i] + rate if use_base else rate


@njit(parallel=True, cache=True, nogil=True)
def cotangent(slope, P, scale, Q, sums):
    """Write ``Q = scale * slope * P``, shape ``(C, cells, m)``, and its sums by channel and block."""
    channels, cells, m = P.shape
    for u in prange(channels * _SUM_BLOCKS):
        c, j = u // _SUM_BLOCKS, u % _SUM_BLOCKS
        # One sum an example, so that the additions are vectors and nothing is reordered.
        columns = np.zeros(m, P.dtype)
        for i in range(j * cells // _SUM_BLOCKS, (j + 1) * cells // _SUM_BLOCKS):
            for l in range(m):
                q = scale * (slope[c, i, l] * P[c, i, l])
                Q[c, i, l] = q
                columns[l] += q
        sums[c, j] = columns.sum()


def sum_blocks() -> int:
    """Return into how many parts :func:`cotangent` divides the cells."""
    return _SUM_BLOCKS
