"""Products of fixed features with a classifier, a block of examples at a time.

A block holds all features of some examples as ``(groups, examples, features of a group)``: both products then
have features in their vectors, so that no lane is idle whatever the number of classes, and each number
that is loaded meets several others. Where a block of :data:`EXAMPLES` fits into the second-level cache it
stays there between the two products of a Hessian, so that memory is read once.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from refmg_backends.numba_kernels.vectors import CLASSES as PAIRED
from refmg_backends.numba_kernels.vectors import FEATURES as EXAMPLES_PAIRED
from refmg_backends.numba_kernels.vectors import VECTORS, WIDE, pair_sum, tap_sum

EXAMPLES = 16  # of a block, a multiple of those that are paired with classes at a time
# Classes whose sums over examples are in registers together.
CLASSES = 10 if WIDE else 5
PIECE = 14  # groups of features that meet all classes while they are in the first-level cache


@njit(parallel=True, cache=True, nogil=True)
def pack(Y, blocks, first):
    """Write `Y`, ``(features, m)``, into `blocks` ``(B, groups, EXAMPLES, size)`` from example `first` on."""
    features, m = Y.shape
    size = blocks.shape[3]
    for g in prange((features + size - 1) // size):
        start, stop = g * size, min(features, (g + 1) * size)
        for b in range(first // EXAMPLES, (first + m + EXAMPLES - 1) // EXAMPLES):
            for at in range(max(first, b * EXAMPLES), min(first + m, (b + 1) * EXAMPLES)):
                l, j = at - b * EXAMPLES, at - first
                for i in range(start, stop):
                    blocks[b, g, l, i - start] = Y[i, j]


@njit(parallel=True, cache=True, nogil=True)
def turn(W, out):
    """Write `W`, ``(features, classes)``, into `out`, ``(classes, rows)``, with zeros behind."""
    n, k = W.shape
    for o in prange(k):
        for i in range(n):
            out[o, i] = W[i, o]
        out[o, n:] = 0


@njit(cache=True)
def _logits(z, W, blocks, b, z_cells, y_cells):
    """Write the logits of block b into `z`, classes times examples, without biases."""
    groups, size, (k, rows) = blocks.shape[1], blocks.shape[3], W.shape
    weights, Y, at = W.reshape(-1), blocks.reshape(-1), b * groups * EXAMPLES * size
    z[:] = 0
    for first in range(0, groups, PIECE):
        count, w_at, y_at = min(PIECE, groups - first), first * size, at + first * EXAMPLES * size
        for l in range(0, EXAMPLES, EXAMPLES_PAIRED):
            o = 0
            while o + PAIRED <= k:
                pair_sum(z, o * EXAMPLES + l, EXAMPLES, weights, w_at + o * rows, rows, z_cells, Y,
                         y_at + l * size, size, y_cells, count, PAIRED, EXAMPLES_PAIRED, VECTORS)  # fmt: skip
                o += PAIRED
            while o < k:
                pair_sum(z, o * EXAMPLES + l, EXAMPLES, weights, w_at + o * rows, rows, z_cells, Y,
                         y_at + l * size, size, y_cells, count, 1, EXAMPLES_PAIRED, VECTORS)  # fmt: skip
                o += 1


@njit(cache=True)
def _cells(size):
    """Return where the groups of a piece begin, in weights and in a block."""
    return np.arange(PIECE) * size, np.arange(PIECE) * (EXAMPLES * size)


@njit(parallel=True, cache=True, nogil=True)
def logits(W, blocks, out):
    """Write ``W^T Y`` into `out`, ``(classes, B EXAMPLES)``; `W` is ``(classes, rows)``."""
    k, size = W.shape[0], blocks.shape[3]
    for b in prange(blocks.shape[0]):
        z, (z_cells, y_cells) = np.empty(k * EXAMPLES, blocks.dtype), _cells(size)
        _logits(z, W, blocks, b, z_cells, y_cells)
        for o in range(k):
            for l in range(EXAMPLES):
                out[o, b * EXAMPLES + l] = z[o * EXAMPLES + l]


@njit(cache=True)
def _curve(z, mu, diagonal, left, right, first, G):
    """Write ``C (z + mu)`` of one block into `G`, examples times classes."""
    k = mu.size
    for l in range(EXAMPLES):
        at = first + l
        for o in range(k):
            z[o * EXAMPLES + l] += mu[o]
            G[l * k + o] = diagonal[o, at] * z[o * EXAMPLES + l]
        for r in range(left.shape[0]):
            along = right[r, 0, at] * z[l]
            for o in range(1, k):
                along += right[r, o, at] * z[o * EXAMPLES + l]
            for o in range(k):
                G[l * k + o] -= left[r, o, at] * along


@njit(cache=True)
def _add(out, blocks, b, G, k, zero):
    """Add to `out`, classes times rows, the products of block b with `G`, examples times classes."""
    groups, size = blocks.shape[1], blocks.shape[3]
    Y, rows = blocks.reshape(-1), groups * size
    for g in range(groups):
        at, o = (b * groups + g) * EXAMPLES * size, 0
        while o + CLASSES <= k:
            tap_sum(out, o * rows + g * size, rows, out, 1, Y, at, size, G, o, k, zero, zero, 1, EXAMPLES,
                    CLASSES, VECTORS, 4)  # fmt: skip
            o += CLASSES
        while o + 3 <= k:
            tap_sum(out, o * rows + g * size, rows, out, 1, Y, at, size, G, o, k, zero, zero, 1, EXAMPLES,
                    3, VECTORS, 4)  # fmt: skip
            o += 3
        while o < k:
            tap_sum(out, o * rows + g * size, rows, out, 1, Y, at, size, G, o, k, zero, zero, 1, EXAMPLES,
                    1, VECTORS, 4)  # fmt: skip
            o += 1


@njit(parallel=True, cache=True, nogil=True)
def gradient(blocks, G, parts):
    """Write into `parts`, ``(P, classes, rows)``, matrices whose sum is ``G Y^T``."""
    B, P, k = blocks.shape[0], parts.shape[0], G.shape[0]
    for p in prange(P):
        part, turned, zero = parts[p].reshape(-1), np.empty(EXAMPLES * k, blocks.dtype), np.zeros(1, np.int64)
        part[:] = 0
        for b in range(p * B // P, (p + 1) * B // P):
            for l in range(EXAMPLES):
                for o in range(k):
                    turned[l * k + o] = G[o, b * EXAMPLES + l]
            _add(part, blocks, b, turned, k, zero)


@njit(parallel=True, cache=True, nogil=True)
def product(W, mu, blocks, diagonal, left, right, parts, sums):
    """Write parts of ``Z Y^T`` and of the sums of Z, for ``Z = C (W^T Y + mu)``, like `gradient`."""
    B, P, k, size = blocks.shape[0], parts.shape[0], W.shape[0], blocks.shape[3]
    for p in prange(P):
        part, turned, zero = parts[p].reshape(-1), np.empty(EXAMPLES * k, blocks.dtype), np.zeros(1, np.int64)
        z, (z_cells, y_cells) = np.empty(k * EXAMPLES, blocks.dtype), _cells(size)
        part[:] = 0
        found = np.zeros(k, blocks.dtype)
        for b in range(p * B // P, (p + 1) * B // P):
            _logits(z, W, blocks, b, z_cells, y_cells)
            _curve(z, mu, diagonal, left, right, b * EXAMPLES, turned)
            for l in range(EXAMPLES):
                for o in range(k):
                    found[o] += turned[l * k + o]
            _add(part, blocks, b, turned, k, zero)
        sums[p] = found


@njit(parallel=True, cache=True, nogil=True)
def total(parts, out):
    """Write the sum of `parts`, ``(P, classes, rows)``, into `out`, ``(features, classes)``."""
    n, k = out.shape
    for piece in prange((n + 255) // 256):
        for o in range(k):
            for i in range(piece * 256, min(n, (piece + 1) * 256)):
                found = parts[0, o, i]
                for p in range(1, parts.shape[0]):
                    found += parts[p, o, i]
                out[i, o] = found
