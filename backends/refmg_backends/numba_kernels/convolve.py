"""Convolution and its transpose on examples-last features, without a matrix."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from refmg_backends.geometry import OUTSIDE, Geometry
from refmg_backends.numba_kernels.pointwise import finish
from refmg_backends.numba_kernels.vectors import OUTPUTS, VECTORS, lanes, tap_sum

TILE = 16  # cells that one task goes through for a few vectors of examples


@lru_cache(maxsize=64)
def gather_rows(geometry: Geometry) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return cells ``(out_cells, taps)`` that each output reads, and the tap of each column."""
    rows = np.ascontiguousarray(geometry.table.T.astype(np.int64))
    return rows, np.arange(geometry.taps, dtype=np.int64)


@lru_cache(maxsize=64)
def scatter_rows(geometry: Geometry) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return outputs ``(cells, pairs)`` that read each cell, and the tap of each column."""
    pairs = geometry.transpose_table
    rows = np.array([row for _, row in pairs], dtype=np.int64).reshape(len(pairs), geometry.cells)
    return np.ascontiguousarray(rows.T), np.array([tap for tap, _ in pairs], dtype=np.int64)


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


def _make_cell(vectors: int) -> Any:
    @njit(cache=True)
    def cell(out, at, out_stride, start, use_start, X, l, x_stride, taps, offsets, jumps, count):  # noqa: E741
        """Sum up all output channels of one cell, for `vectors` vectors of examples."""
        c_out, c_in, each = out.shape[0], X.shape[0], taps.size // out.shape[0]
        o = 0
        while o + OUTPUTS <= c_out:
            tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps, o * each,
                    offsets, jumps[0], count, c_in, OUTPUTS, vectors)  # fmt: skip
            o += OUTPUTS
        if o + 4 <= c_out:
            tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps, o * each,
                    offsets, jumps[1], count, c_in, 4, vectors)  # fmt: skip
            o += 4
        if o + 2 <= c_out:
            tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps, o * each,
                    offsets, jumps[2], count, c_in, 2, vectors)  # fmt: skip
            o += 2
        if o < c_out:
            tap_sum(out, at + o * out_stride, out_stride, start, use_start, X, l, x_stride, taps, o * each,
                    offsets, jumps[3], count, c_in, 1, vectors)  # fmt: skip

    return cell


_cell = _make_cell(VECTORS)
_narrow_cell = _make_cell(1)


@njit(cache=True)
def _offsets(rows, tap_of, i, m, c_in, offsets, jumps):
    """Write where the taps of cell i read, in features and in packed taps; return how many there are."""
    count = 0
    for t in range(tap_of.size):
        if rows[i, t] != OUTSIDE:
            offsets[count] = rows[i, t] * m
            jumps[0, count] = tap_of[t] * c_in * OUTPUTS
            jumps[1, count] = tap_of[t] * c_in * 4
            jumps[2, count] = tap_of[t] * c_in * 2
            jumps[3, count] = tap_of[t] * c_in
            count += 1
    return count


@njit(parallel=True, cache=True, nogil=True)
def convolve(X, taps, rows, tap_of, lanes, start, use_start, out, post, slope, base, bias, k, scale,
             use_base, use_slope, code):  # fmt: skip
    """Write ``out = start + K X``, then with `post` ``base + scale * sigma(out + bias)``, and its slope.

    Parameters
    ----------
    X : ndarray, shape (C_in, N, m)
        `m` a multiple of `lanes`.
    taps : ndarray
        Packed by :func:`pack`.
    rows, tap_of : ndarray
        As :func:`gather_rows` or :func:`scatter_rows` return them.
    start, out, slope, base : ndarray, shape (C_out, M, m)
        Those that are not used may be any array of this shape.
    """
    c_in, N, m = X.shape
    c_out, M = out.shape[0], out.shape[1]
    wide = m // (lanes * VECTORS)
    groups = wide + (m - wide * lanes * VECTORS) // lanes
    tiles = (M + TILE - 1) // TILE
    # Neighbouring tasks share their examples: what one has read is in the cache of the next.
    for u in prange(groups * tiles):
        g, tile = u // tiles, u % tiles
        l = g * lanes * VECTORS if g < wide else (wide * VECTORS + g - wide) * lanes  # noqa: E741
        length = lanes * VECTORS if g < wide else lanes
        offsets, jumps = np.empty(tap_of.size, np.int64), np.empty((4, tap_of.size), np.int64)
        for i in range(tile * TILE, min(M, (tile + 1) * TILE)):
            count = _offsets(rows, tap_of, i, m, c_in, offsets, jumps)
            if count == 0:
                for o in range(c_out):
                    for j in range(l, l + length):
                        out[o, i, j] = start[o, i, j] if use_start else k[0]
            elif g < wide:
                _cell(out, i * m + l, M * m, start, use_start, X, l, N * m, taps, offsets, jumps, count)
            else:
                _narrow_cell(
                    out, i * m + l, M * m, start, use_start, X, l, N * m, taps, offsets, jumps, count
                )
            if post:
                for o in range(c_out):
                    finish(out[o, i, l : l + length], slope[o, i, l : l + length],
                           base[o, i, l : l + length], bias[o], k, scale, use_base, use_slope, code)  # fmt: skip


__all__ = ["convolve", "gather_rows", "lanes", "pack", "scatter_rows"]
