"""Convolution and its transpose on examples-last features, without a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from refmg_backends.byte_cache import kept_by_bytes
from refmg_backends.geometry import OUTSIDE, TABLES, Geometry
from refmg_backends.numba_kernels.activate import finish
from refmg_backends.numba_kernels.codes import IDENTITY, RELU, SMOOTH_RELU, TANH
from refmg_backends.numba_kernels.vectors import OUTPUTS, VECTORS, lanes, tap_sum

UNROLLED = 8  # channels at a time, where they are a multiple of it
TILE = 16  # cells that one task goes through for a few vectors of examples
CACHE = 3 << 19  # bytes of features that a task may hope to find again in the second-level cache

Rows = tuple[NDArray[Any], NDArray[Any], bool]


@kept_by_bytes(TABLES, lambda rows: rows[0].nbytes)
def gather_rows(geometry: Geometry) -> Rows:
    """Return cells ``(out_cells, taps)`` that each output reads, the tap of each column, and if all exist."""
    rows = np.ascontiguousarray(geometry.table.T.astype(np.int64))
    return rows, np.arange(geometry.taps, dtype=np.int64), bool((rows != OUTSIDE).all())


@kept_by_bytes(TABLES, lambda rows: rows[0].nbytes)
def scatter_rows(geometry: Geometry) -> Rows:
    """Return outputs ``(cells, pairs)`` that read each cell, the tap of each column, and if all exist."""
    pairs = geometry.transpose_table
    rows = np.array([row for _, row in pairs], dtype=np.int64).reshape(len(pairs), geometry.cells)
    taps = np.array([tap for tap, _ in pairs], dtype=np.int64)
    return np.ascontiguousarray(rows.T), taps, bool((rows != OUTSIDE).all())


def groups_together(geometry: Geometry, channels: int, itemsize: int) -> int:
    """Return how many groups of examples one task takes, so that neighbouring rows stay in the cache.

    The more, the longer the runs of memory that are read and written at once.
    """
    rows = geometry.taps // geometry.width[-1] * geometry.shape[-1]
    return max(1, CACHE // (rows * channels * lanes(itemsize) * VECTORS * itemsize))


def pack(taps: NDArray[Any]) -> NDArray[Any]:
    """Return taps ``(C_out, C_in, taps)`` in the order in which the kernel reads them.

    Blocks of output channels, as many as are summed up in registers together; in a block tap by tap,
    channel by channel, with the outputs of the block side by side.
    """
    c_out, parts, o = taps.shape[0], list[NDArray[Any]](), 0
    while o < c_out:
        size = OUTPUTS
        while size > c_out - o:
            size //= 2
        parts.append(taps[o : o + size].transpose(2, 1, 0).ravel())
        o += size
    return np.concatenate(parts) if parts else np.zeros(0, taps.dtype)


@njit(cache=True, inline="always")
def cell(out, at, out_stride, start, use_start, X, l, x_stride, taps, offsets, jumps, count, c_out, c_in,
         vectors):  # fmt: skip
    """Sum up all output channels of one cell, for `vectors` (a literal) vectors of examples."""
    each, o = taps.size // c_out, 0
    while o + OUTPUTS <= c_out:
        if c_in % UNROLLED == 0:
            tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps,
                    o * each, OUTPUTS, offsets, jumps[0], count, c_in, OUTPUTS, vectors,
                    UNROLLED)  # fmt: skip
        else:
            tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps,
                    o * each, OUTPUTS, offsets, jumps[0], count, c_in, OUTPUTS, vectors, 1)  # fmt: skip
        o += OUTPUTS
    if o + 4 <= c_out:
        tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps, o * each,
                4, offsets, jumps[1], count, c_in, 4, vectors, 1)  # fmt: skip
        o += 4
    if o + 2 <= c_out:
        tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps, o * each,
                2, offsets, jumps[2], count, c_in, 2, vectors, 1)  # fmt: skip
        o += 2
    if o < c_out:
        tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps, o * each,
                1, offsets, jumps[3], count, c_in, 1, vectors, 1)  # fmt: skip


@njit(cache=True)
def jumps_of(tap_of, t, count, c_in, jumps):
    """Write where tap t begins in a block of packed taps, for each size of block."""
    jumps[0, count] = tap_of[t] * c_in * OUTPUTS
    jumps[1, count] = tap_of[t] * c_in * 4
    jumps[2, count] = tap_of[t] * c_in * 2
    jumps[3, count] = tap_of[t] * c_in


@njit(cache=True)
def offsets_of(rows, tap_of, i, m, c_in, offsets, jumps):
    """Write where the taps of cell i read, leaving out those outside; return how many there are."""
    count = 0
    for t in range(tap_of.size):
        if rows[i, t] != OUTSIDE:
            offsets[count] = rows[i, t] * m
            jumps_of(tap_of, t, count, c_in, jumps)
            count += 1
    return count


@njit(cache=True)
def activate(flat, slopes, bases, at, vectors, bias, k, scale, use_base, use_slope, code):
    """Activate some vectors of one channel while they are in the cache; see ``finish``."""
    if code == TANH:
        finish(flat, slopes, bases, at, vectors, bias, k, scale, use_base, use_slope, TANH)
    elif code == RELU:
        finish(flat, slopes, bases, at, vectors, bias, k, scale, use_base, use_slope, RELU)
    elif code == SMOOTH_RELU:
        finish(flat, slopes, bases, at, vectors, bias, k, scale, use_base, use_slope, SMOOTH_RELU)
    else:
        finish(flat, slopes, bases, at, vectors, bias, k, scale, use_base, use_slope, IDENTITY)


@njit(parallel=True, cache=True, nogil=True)
def convolve(X, taps, rows, tap_of, complete, together, lanes, start, use_start, out, post, slope, base,
             bias, k, scale, use_base, use_slope, code):  # fmt: skip
    """Write ``out = start + K X``, then with `post` ``base + scale * sigma(out + bias)``, and its slope.

    Parameters
    ----------
    X : ndarray, shape (C_in, N, m)
        `m` a multiple of `lanes`.
    taps : ndarray
        Packed by :func:`pack`.
    rows, tap_of : ndarray
        As :func:`gather_rows` or :func:`scatter_rows` return them; `complete` says that no tap of any
        cell is outside.
    together : int
        Groups of vectors that a task goes through, of :func:`groups_together`.
    start, out, slope, base : ndarray, shape (C_out, M, m)
        Those that are not used may be any array of this shape.
    """
    c_in, N, m = X.shape
    M = out.shape[1]
    wide = m // (lanes * VECTORS)
    groups = wide + (m - wide * lanes * VECTORS) // lanes
    blocks, tiles = (groups + together - 1) // together, (M + TILE - 1) // TILE
    flat, slopes, bases = out.reshape(-1), slope.reshape(-1), base.reshape(-1)
    # Neighbouring tasks share their examples: what one has read is in the cache of the next.
    for u in prange(blocks * tiles):
        block, tile = u // tiles, u % tiles
        offsets, jumps = np.empty(tap_of.size, np.int64), np.empty((4, tap_of.size), np.int64)
        count = tap_of.size
        for t in range(count):
            jumps_of(tap_of, t, t, c_in, jumps)
        for i in range(tile * TILE, min(M, (tile + 1) * TILE)):
            if complete:
                for t in range(count):
                    offsets[t] = rows[i, t] * m
            else:
                count = offsets_of(rows, tap_of, i, m, c_in, offsets, jumps)
            for g in range(block * together, min(groups, (block + 1) * together)):
                l = g * lanes * VECTORS if g < wide else (wide * VECTORS + g - wide) * lanes
                vectors = VECTORS if g < wide else 1
                if count == 0:
                    for o in range(out.shape[0]):
                        for j in range(l, l + vectors * lanes):
                            out[o, i, j] = start[o, i, j] if use_start else 0.0
                elif g < wide:
                    cell(out, i * m + l, M * m, start, use_start, X, l, N * m, taps, offsets, jumps, count,
                         out.shape[0], c_in, VECTORS)  # fmt: skip
                else:
                    cell(out, i * m + l, M * m, start, use_start, X, l, N * m, taps, offsets, jumps, count,
                         out.shape[0], c_in, 1)  # fmt: skip
                if post:
                    for o in range(bias.size):
                        at = (o * M + i) * m + l
                        activate(
                            flat, slopes, bases, at, vectors, bias[o], k, scale, use_base, use_slope, code
                        )
