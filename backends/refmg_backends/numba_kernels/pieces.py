"""Features of some tiles and examples to the frequencies of minimal filtering, and sums over those back."""

from __future__ import annotations

import numpy as np
from numba import njit

from refmg_backends.geometry import OUTSIDE
from refmg_backends.numba_kernels.convolve import activate
from refmg_backends.numba_kernels.tiles import INPUT, OUTPUT, OUTPUT_ADJOINT, transform_tile


@njit(cache=True)
def piece_of(u, tiles, columns, m):
    """Return the tiles of piece u, where its examples begin and how many they are; none beyond the last."""
    together = max(1, columns // min(m, columns))
    runs = (m + columns - 1) // columns
    first, start = u // runs * together, u % runs * columns
    return (first, min(tiles, first + together)), start, min(columns, m - start)


@njit(cache=True)
def transform(X, channels, cells, tiles, start, examples, lanes, zeros, V, adjoint):
    """Write the frequencies of some channels, tiles and examples into V, ``(16, C, columns)``."""
    _, n, m = X.shape
    source, target, size, columns = X.reshape(-1), V.reshape(-1), cells.shape[1], V.shape[2]
    reads, writes = np.empty(size, np.int64), np.empty(16, np.int64)
    for c in range(channels[0], channels[1]):
        for t in range(tiles[0], tiles[1]):
            for j in range(size):
                reads[j] = (c * n + cells[t, j]) * m + start if cells[t, j] != OUTSIDE else -1
            for j in range(16):
                writes[j] = (j * X.shape[0] + c) * columns + (t - tiles[0]) * examples
            if adjoint:
                transform_tile(source, reads, zeros, target, writes, zeros, examples // lanes, OUTPUT_ADJOINT)
            else:
                transform_tile(source, reads, zeros, target, writes, zeros, examples // lanes, INPUT)


@njit(cache=True)
def finish(M, channels, cells, tiles, start, examples, lanes, zeros, spare, out, use_start, add_to, post,
           slope, base, bias, k, scale, use_base, use_slope, code):  # fmt: skip
    """Write the sums of some channels, tiles and examples, with `post` activated as ``convolve`` does."""
    _, n, m = out.shape
    source, target, flat_add = M.reshape(-1), out.reshape(-1), add_to.reshape(-1)
    slopes, bases, columns, vectors = slope.reshape(-1), base.reshape(-1), M.shape[2], examples // lanes
    reads, writes = np.empty(16, np.int64), np.empty(4, np.int64)
    for o in range(channels[0], channels[1]):
        for t in range(tiles[0], tiles[1]):
            for j in range(16):
                reads[j] = (j * out.shape[0] + o) * columns + (t - tiles[0]) * examples
            for j in range(4):
                writes[j] = (o * n + cells[t, j]) * m + start if cells[t, j] != OUTSIDE else -1
            transform_tile(source, reads, zeros, target, writes, spare, vectors, OUTPUT)
            for at in writes:
                if at >= 0 and use_start:
                    for l in range(at, at + examples):
                        target[l] += flat_add[l]
                if at >= 0 and post:
                    activate(target, slopes, bases, at, vectors, bias[o], k, scale, use_base, use_slope, code)
