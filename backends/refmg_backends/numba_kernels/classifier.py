"""The classifier's products: many features, few classes.

BLAS copies both factors into an order of its own first, which costs as much as such a product itself.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from refmg_backends.numba_kernels.vectors import CLASSES, FEATURES, NONE, RUN, pair_sum, tap_sum

PARTS = 8  # of a sum over features; fixed, so that no result depends on the number of threads
PIECE = 1 << 16  # bytes of features that meet all classes while they are in the first-level cache


@njit(cache=True)
def sums(out, at, W, Y, l, first, last, zero, vectors):
    """Add ``W[first:last]^T Y[first:last]`` for `vectors` vectors of examples to all classes of `out`."""
    k, m, n, o = W.shape[1], Y.shape[1], last - first, 0
    flat, x_at = W.reshape(-1), first * m + l
    while o + CLASSES <= k:
        tap_sum(out, at + o * m, m, out, 1, Y, x_at, m, flat, first * k + o, k, zero, zero, 1, n,
                CLASSES, vectors, 1)  # fmt: skip
        o += CLASSES
    while o + 2 <= k:
        tap_sum(out, at + o * m, m, out, 1, Y, x_at, m, flat, first * k + o, k, zero, zero, 1, n,
                2, vectors, 1)  # fmt: skip
        o += 2
    if o < k:
        tap_sum(out, at + o * m, m, out, 1, Y, x_at, m, flat, first * k + o, k, zero, zero, 1, n,
                1, vectors, 1)  # fmt: skip


@njit(parallel=True, cache=True, nogil=True)
def logits(W, Y, lanes, parts):
    """Write into `parts`, ``(P, classes, m)`` and full of zeros, sums whose sum is ``W^T Y``.

    Parameters
    ----------
    W, Y : ndarray, shapes (features, classes) and (features, m)
        `m` a multiple of `lanes`.
    """
    features, m = Y.shape
    P, k, wide = parts.shape[0], parts.shape[1], m // (lanes * RUN)
    out, piece = parts.reshape(-1), max(8, PIECE // (m * Y.itemsize))
    for p in prange(P):
        zero, end = np.zeros(1, np.int64), (p + 1) * features // P
        for first in range(p * features // P, end, piece):
            last = min(end, first + piece)
            for g in range(wide):
                l = g * lanes * RUN
                sums(out, p * k * m + l, W, Y, l, first, last, zero, RUN)
            for l in range(wide * lanes * RUN, m, lanes):
                sums(out, p * k * m + l, W, Y, l, first, last, zero, 1)


@njit(cache=True)
def pairs(out, i, size, Y, G, l, cells, count, vectors):
    """Add the inner products of `size` features, FEATURES or 1, with all classes."""
    k, m, o = G.shape[0], Y.shape[1], 0
    while o < k:
        if o + CLASSES <= k and size > 1:
            pair_sum(out, i * k + o, k, Y, i * m + l, m, cells[0], G, o * m + l, m, cells[0], count,
                     FEATURES, CLASSES, vectors)  # fmt: skip
            o += CLASSES
        elif size > 1:
            pair_sum(out, i * k + o, k, Y, i * m + l, m, cells[0], G, o * m + l, m, cells[0], count,
                     FEATURES, 1, vectors)  # fmt: skip
            o += 1
        else:
            pair_sum(out, i * k + o, k, Y, i * m + l, m, cells[0], G, o * m + l, m, cells[0], count,
                     1, 1, vectors)  # fmt: skip
            o += 1


@njit(parallel=True, cache=True, nogil=True)
def weight_gradient(Y, G, lanes, out):
    """Write ``Y G^T`` into `out`, ``(features, classes)`` and full of zeros.

    Parameters
    ----------
    Y, G : ndarray, shapes (features, m) and (classes, m)
        `m` a multiple of `lanes`.
    """
    features, m = Y.shape
    wide = m // (lanes * RUN)
    rest, blocks = wide * lanes * RUN, (features + FEATURES - 1) // FEATURES
    flat = out.reshape(-1)
    for block in prange(blocks):
        runs = np.arange(wide).reshape(1, -1) * (lanes * RUN)
        tails = np.arange((m - rest) // lanes).reshape(1, -1) * lanes
        whole = (block + 1) * FEATURES <= features
        for i in range(block * FEATURES, min(features, (block + 1) * FEATURES), FEATURES if whole else 1):
            if runs.size:
                pairs(flat, i, FEATURES if whole else 1, Y, G, NONE, runs, runs.size, RUN)
            if tails.size:
                pairs(flat, i, FEATURES if whole else 1, Y, G, rest, tails, tails.size, 1)


@njit(parallel=True, cache=True, nogil=True)
def logits_adjoint(W, G, out):
    """Write ``W G`` into `out`, ``(features, m)``: five classes meet an example while it is in a register."""
    k, m = G.shape
    whole = k - k % 5
    for i in prange(W.shape[0]):
        row = out[i]
        row[:] = 0
        for o in range(0, whole, 5):
            a, b, c, d, e = W[i, o], W[i, o + 1], W[i, o + 2], W[i, o + 3], W[i, o + 4]
            for l in range(m):
                row[l] += a * G[o, l] + b * G[o + 1, l] + c * G[o + 2, l] + d * G[o + 3, l] + e * G[o + 4, l]
        for o in range(whole, k):
            for l in range(m):
                row[l] += W[i, o] * G[o, l]
