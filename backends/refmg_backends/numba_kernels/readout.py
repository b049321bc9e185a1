"""Features of a block and logits: products with the weights of a classifier while the block is cached."""

from __future__ import annotations

import numpy as np
from numba import njit

from refmg_backends.numba_kernels.vectors import NONE, VECTORS, WIDE, tap_sum

CLASSES = 10 if WIDE else 5  # whose logits are summed up together in registers
PIECE = 256  # features whose products are summed up one after the other; then the sums are


@njit(cache=True)
def products(z, count, X, x_at, channels, taps, taps_at, stride, zero, each, vectors):
    """Write sums of channels times taps for `count` outputs, each a row of `vectors` vectors of examples."""
    o = 0
    while o + CLASSES <= count:
        tap_sum(z, o * each, each, z, 0, X, x_at, each, taps, taps_at + o, stride, zero, zero, 1,
                channels, CLASSES, vectors, 1)  # fmt: skip
        o += CLASSES
    while o + 3 <= count:
        tap_sum(z, o * each, each, z, 0, X, x_at, each, taps, taps_at + o, stride, zero, zero, 1,
                channels, 3, vectors, 1)  # fmt: skip
        o += 3
    while o < count:
        tap_sum(z, o * each, each, z, 0, X, x_at, each, taps, taps_at + o, stride, zero, zero, 1,
                channels, 1, vectors, 1)  # fmt: skip
        o += 1


@njit(cache=True)
def _products(z, count, X, x_at, channels, taps, taps_at, stride, each, wide):
    zero = np.zeros(1, np.int64)
    if wide:
        products(z, count, X, x_at, channels, taps, taps_at, stride, zero, each, VECTORS)
    else:
        products(z, count, X, x_at, channels, taps, taps_at, stride, zero, each, 1)


@njit(cache=True)
def write_logits(Y, W, first, logits, wide):
    """Write ``W^T Y`` of a block, whose examples begin at `first`; `W` is ``(cells * C, classes)``."""
    (features, classes), each = W.shape, Y.shape[2]
    z, part = np.zeros(classes * each, Y.dtype), np.empty(classes * each, Y.dtype)
    flat, weights = Y.reshape(-1), W.reshape(-1)
    for i in range(0, features, PIECE):
        _products(part, classes, flat, i * each, min(PIECE, features - i), weights, i * classes, classes,
                  each, wide)  # fmt: skip
        z += part
    for o in range(classes):
        for l in range(min(each, logits.shape[1] - first)):
            logits[o, first + l] = z[o * each + l]


@njit(cache=True)
def features_adjoint(W, G, first, P, wide):
    """Write ``W^T G`` into a block, whose examples begin at `first`; `W` is ``(classes, cells * C)``."""
    (classes, features), each = W.shape, P.shape[2]
    g, count = np.zeros(classes * each, P.dtype), min(each, G.shape[1] - first)
    for o in range(classes):
        for l in range(count):
            g[o * each + l] = G[o, first + l]
    _products(P.reshape(-1), features, g, NONE, classes, W.reshape(-1), NONE, features, each, wide)
    P[P.shape[0] - 1] = 0
