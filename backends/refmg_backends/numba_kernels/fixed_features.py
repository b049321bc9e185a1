"""Products of fixed features with a classifier, a block of examples at a time.

A block holds all features of one vector of examples, one row a feature. It stays in the second-level
cache between the two products of a Hessian, while the next block is fetched, so that memory is read once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from refmg_backends.numba_kernels.rows import SUMS, row_sum
from refmg_backends.numba_kernels.vectors import WIDE, tap_sum

# Classes whose logits are summed up together in registers.
CLASSES = 10 if WIDE else 5
ROWS = SUMS  # blocks have a multiple of so many rows
MOST_VECTORS = 4  # of classes


@njit(parallel=True, cache=True, nogil=True)
def pack(Y, blocks, first):
    """Write `Y`, ``(features, m)``, into `blocks`, ``(B, rows, lanes)``, from example `first` on."""
    m, each = Y.shape[1], blocks.shape[2]
    for i in prange(Y.shape[0]):
        for j in range(m):
            at = first + j
            blocks[at // each, i, at % each] = Y[i, j]


@njit(cache=True)
def _logits(z, W, blocks, b, zero):
    """Write the logits of block b into `z`, classes times examples, without biases."""
    rows, each, k, n = blocks.shape[1], blocks.shape[2], W.shape[1], W.shape[0]
    flat, Y, at, o = W.reshape(-1), blocks.reshape(-1), b * rows * each, 0
    while o + CLASSES <= k:
        tap_sum(z, o * each, each, z, 0, Y, at, each, flat, o, k, zero, zero, 1, n, CLASSES, 1, 1)
        o += CLASSES
    while o + 3 <= k:
        tap_sum(z, o * each, each, z, 0, Y, at, each, flat, o, k, zero, zero, 1, n, 3, 1, 1)
        o += 3
    while o < k:
        tap_sum(z, o * each, each, z, 0, Y, at, each, flat, o, k, zero, zero, 1, n, 1, 1, 1)
        o += 1


@njit(parallel=True, cache=True, nogil=True)
def logits(W, blocks, out):
    """Write ``W^T Y`` into `out`, ``(classes, B lanes)``."""
    each, k = blocks.shape[2], W.shape[1]
    for b in prange(blocks.shape[0]):
        z, zero = np.empty(k * each, blocks.dtype), np.zeros(1, np.int64)
        _logits(z, W, blocks, b, zero)
        for o in range(k):
            for l in range(each):
                out[o, b * each + l] = z[o * each + l]


@njit(cache=True)
def _curve(z, mu, diagonal, left, right, first, G, each, width):
    """Write ``C (z + mu)`` of one block into `G`, examples times classes."""
    k = mu.size
    for l in range(each):
        at = first + l
        for o in range(k):
            z[o * each + l] += mu[o]
            G[l * width + o] = diagonal[o, at] * z[o * each + l]
        for r in range(left.shape[0]):
            along = right[r, 0, at] * z[l]
            for o in range(1, k):
                along += right[r, o, at] * z[o * each + l]
            for o in range(k):
                G[l * width + o] -= left[r, o, at] * along


def _make_add(vectors: int) -> Any:
    rows = SUMS // vectors

    @njit(cache=True)
    def add(out, blocks, b, G, ahead):
        """Add the products of block b with `G`, and fetch what lies `ahead` meanwhile."""
        count, each, width = blocks.shape[1], blocks.shape[2], out.size // blocks.shape[1]
        Y = blocks.reshape(-1)
        for i in range(0, count, rows):
            row_sum(out, i * width, width, Y, (b * count + i) * each, each, G, 0, width, each, ahead,
                    rows, vectors)  # fmt: skip

    return add


_add_1, _add_2, _add_4 = _make_add(1), _make_add(2), _make_add(4)


@njit(cache=True)
def _add(out, blocks, b, G, ahead, vectors):
    if vectors == 1:
        _add_1(out, blocks, b, G, ahead)
    elif vectors == 2:
        _add_2(out, blocks, b, G, ahead)
    else:
        _add_4(out, blocks, b, G, ahead)


@njit(parallel=True, cache=True, nogil=True)
def gradient(blocks, G, parts, vectors):
    """Write into `parts`, ``(P, rows, width)``, matrices whose sum is ``Y G^T``.

    `width` is that of 1, 2 or 4 `vectors` of classes.
    """
    B, rows, each = blocks.shape
    P, k, width = parts.shape[0], G.shape[0], parts.shape[2]
    for p in prange(P):
        part, turned = parts[p].reshape(-1), np.zeros(each * width, blocks.dtype)
        part[:] = 0
        for b in range(p * B // P, (p + 1) * B // P):
            for l in range(each):
                for o in range(k):
                    turned[l * width + o] = G[o, b * each + l]
            _add(part, blocks, b, turned, rows * each, vectors)


@njit(parallel=True, cache=True, nogil=True)
def product(W, mu, blocks, diagonal, left, right, parts, sums, vectors):
    """Write parts of ``Y Z^T`` and of the sums of Z, for ``Z = C (W^T Y + mu)``, like `gradient`."""
    B, rows, each = blocks.shape
    P, k, width = parts.shape[0], W.shape[1], parts.shape[2]
    for p in prange(P):
        part, turned = parts[p].reshape(-1), np.zeros(each * width, blocks.dtype)
        z, zero = np.empty(k * each, blocks.dtype), np.zeros(1, np.int64)
        part[:] = 0
        sums[p] = 0
        for b in range(p * B // P, (p + 1) * B // P):
            _logits(z, W, blocks, b, zero)
            _curve(z, mu, diagonal, left, right, b * each, turned, each, width)
            for l in range(each):
                for o in range(k):
                    sums[p, o] += turned[l * width + o]
            _add(part, blocks, b, turned, rows * each, vectors)


@njit(parallel=True, cache=True, nogil=True)
def total(parts, out):
    """Write the sum of `parts`, ``(P, rows, width)``, into `out`, which has fewer rows and columns."""
    n, k = out.shape
    for i in prange(n):
        for o in range(k):
            found = parts[0, i, o]
            for p in range(1, parts.shape[0]):
                found += parts[p, i, o]
            out[i, o] = found
