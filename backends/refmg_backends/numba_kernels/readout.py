"""Features of a block and logits: products with the weights of a classifier while the block is cached."""

from __future__ import annotations

import numpy as np
from numba import njit

from refmg_backends.numba_kernels.vectors import WIDE, tap_sum

CLASSES = 10 if WIDE else 5  # whose logits are summed up together in registers


@njit(cache=True)
def _products(z, at, count, X, channels, taps, taps_at, stride, zero, each, wide):
    """Write sums of X times taps for `count` outputs from `at` on, one row of `each` examples an output."""
    o = 0
    while o + CLASSES <= count:
        if wide:
            tap_sum(z, (at + o) * each, each, z, 0, X, 0, each, taps, taps_at + o, stride, zero, zero, 1,
                    channels, CLASSES, 2, 1)  # fmt: skip
        else:
            tap_sum(z, (at + o) * each, each, z, 0, X, 0, each, taps, taps_at + o, stride, zero, zero, 1,
                    channels, CLASSES, 1, 1)  # fmt: skip
        o += CLASSES
    while o < count:
        if wide:
            tap_sum(z, (at + o) * each, each, z, 0, X, 0, each, taps, taps_at + o, stride, zero, zero, 1,
                    channels, 1, 2, 1)  # fmt: skip
        else:
            tap_sum(z, (at + o) * each, each, z, 0, X, 0, each, taps, taps_at + o, stride, zero, zero, 1,
                    channels, 1, 1, 1)  # fmt: skip
        o += 1


@njit(cache=True)
def write_logits(Y, W, first, logits, wide):
    """Write ``W^T Y`` of a block, whose examples begin at `first`; `W` is ``(cells * C, classes)``."""
    (features, classes), each = W.shape, Y.shape[2]
    z, zero = np.empty(classes * each, Y.dtype), np.zeros(1, np.int64)
    _products(z, 0, classes, Y.reshape(-1), features, W.reshape(-1), 0, classes, zero, each, wide)
    for o in range(classes):
        for l in range(min(each, logits.shape[1] - first)):
            logits[o, first + l] = z[o * each + l]


@njit(cache=True)
def features_adjoint(W, G, first, P, wide):
    """Write ``W^T G`` into a block, whose examples begin at `first`; `W` is ``(classes, cells * C)``."""
    (classes, features), each = W.shape, P.shape[2]
    g, zero, count = np.zeros(classes * each, P.dtype), np.zeros(1, np.int64), min(each, G.shape[1] - first)
    for o in range(classes):
        for l in range(count):
            g[o * each + l] = G[o, first + l]
    _products(P.reshape(-1), 0, features, g, classes, W.reshape(-1), 0, features, zero, each, wide)
    P[P.shape[0] - 1] = 0
