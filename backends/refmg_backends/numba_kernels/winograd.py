r"""Winograd's minimal filtering F(2 x 2, 3 x 3): many channels with 2.25 times fewer products.

For two outputs of a stencil of three taps, :math:`y = A^T (G s \odot B^T d)` needs four products for six
(Lavin and Gray 2016, after Winograd 1980). On tiles of 2 x 2 outputs each of 16 "frequencies" becomes a
product of matrices over channels, on pieces that stay in the second-level cache, or, for wide layers, by
:mod:`refmg_backends.numba_kernels.by_frequency`:

- convolution: :math:`y = A^T (U \cdot B^T d B) A` with :math:`U = G s G^T`,
- stencil gradient, its adjoint in s: :math:`G^T (A z A^T \cdot (B^T d B)^T) G`.

The transforms only add and subtract. Rounding grows by a small constant, see :data:`GROWTH`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from refmg_backends.byte_cache import kept_by_bytes
from refmg_backends.geometry import OUTSIDE, TABLES, Geometry, fold
from refmg_backends.numba_kernels import by_frequency
from refmg_backends.numba_kernels.frequencies import from_frequencies, to_frequencies
from refmg_backends.numba_kernels.gradient import add_products, block_of, division, rows_of
from refmg_backends.numba_kernels.memory import aligned_empty
from refmg_backends.numba_kernels.pieces import finish, piece_of, transform
from refmg_backends.numba_kernels.vectors import PAIRS
from refmg_backends.processors import one_blas_thread

# Bytes of both factors and the product at a time, what the second-level cache may be hoped to keep; and most
# columns, tiles times examples, of a product. Inner products of a gradient want longer rows.
CONVOLUTION, GRADIENT = (1 << 20, 128), (4 << 20, 512)
LEAST = 32  # columns
# Of wide layers, by frequency. Wide is a convolution whose stencil's frequencies have so many bytes, and a
# gradient of so many channels on both sides.
CHUNK, WIDE, WIDE_GRADIENT = (16 << 20, 2048), 2 << 20, 48
CHANNELS = 32  # from which on fewer products outweigh the transforms; of both sides
TASKS = 8  # of a gradient, if its shapes allow so many
# By how much the transforms can enlarge rounding errors: the absolute values of the entries of A^T, G and
# B^T add up to 3, 3/2 and 2 in a row at most, in each of two directions.
GROWTH = (3 * 1.5 * 2) ** 2


@kept_by_bytes(TABLES, lambda cells: sum(part.nbytes for part in cells))
def tile_cells(geometry: Geometry) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the cells that each tile of 2 x 2 outputs reads, ``(tiles, 16)``, and writes, ``(tiles, 4)``.

    ``OUTSIDE`` stands for cells beyond a zero boundary, and for outputs beyond an odd grid.
    """
    reads, writes = [], []
    for n in geometry.shape:
        first = 2 * np.arange((n + 1) // 2)[:, None]
        reads.append(fold(first - 1 + np.arange(4), n, geometry.boundary))
        writes.append(fold(first + np.arange(2), n, "zero"))
    return tuple(_flat(axes, geometry.shape[1]) for axes in (reads, writes))  # type: ignore[return-value]


def _flat(axes: list[NDArray[Any]], columns: int) -> NDArray[Any]:
    rows, cols = axes[0][:, None, :, None], axes[1][None, :, None, :]
    cells = np.where((rows == OUTSIDE) | (cols == OUTSIDE), OUTSIDE, rows * columns + cols)
    return np.ascontiguousarray(cells.reshape(len(axes[0]) * len(axes[1]), -1).astype(np.int64))


def stencil_frequencies(stencil: NDArray[Any]) -> NDArray[Any]:
    """Return ``U = G s G^T`` of stencils ``(C_out, C_in, 3, 3)``, shape ``(16, C_out, C_in)``."""
    U = aligned_empty((16, *stencil.shape[:2]), stencil.dtype)
    to_frequencies(stencil, U)
    return U


def stencil_from_frequencies(M: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return ``G^T M G`` for `M` of shape ``(16, C_out, C_in)``: stencils ``(C_out, C_in, 3, 3)``."""
    stencil = aligned_empty((*M.shape[1:], 3, 3), dtype)
    from_frequencies(M, stencil)
    return stencil


@njit(parallel=True, cache=True, nogil=True)
def _convolve(X, U, cells, columns, pieces, lanes, work, out, use_start, add_to, post, slope, base, bias, k,
              scale, use_base, use_slope, code):  # fmt: skip
    reads, writes = cells
    c_out, c_in, workers = out.shape[0], X.shape[0], work.shape[0]
    for w in prange(workers):
        zeros, spare = np.zeros(columns, X.dtype), np.empty(columns, X.dtype)
        for u in range(w * pieces // workers, (w + 1) * pieces // workers):
            tiles, start, examples = piece_of(u, len(reads), columns, X.shape[2])
            size = 16 * (tiles[1] - tiles[0]) * examples
            V = work[w, : c_in * size].reshape(16, c_in, size // 16)
            M = work[w, c_in * size : (c_in + c_out) * size].reshape(16, c_out, size // 16)
            transform(X, (0, c_in), reads, tiles, start, examples, lanes, zeros, V, False)
            for f in range(16):
                np.dot(U[f], V[f], M[f])
            finish(M, (0, c_out), writes, tiles, start, examples, lanes, zeros, spare, out, use_start, add_to,
                   post, slope, base, bias, k, scale, use_base, use_slope, code)  # fmt: skip


@njit(parallel=True, cache=True, nogil=True)
def _stencil_gradient(Y, Z, cells, columns, pieces, lanes, blocks, work, parts):
    reads, writes = cells
    c_out, c_in, workers, count = Z.shape[0], Y.shape[0], work.shape[0], parts.shape[0]
    for w in prange(workers):
        zeros = np.zeros(columns, Y.dtype)
        for task in range(w * count * blocks // workers, (w + 1) * count * blocks // workers):
            part, (first, last) = task // blocks, block_of(c_out, task % blocks, blocks)
            Z_block, rows = rows_of(Z, first, last), last - first
            for u in range(part * pieces // count, (part + 1) * pieces // count):
                tiles, start, examples = piece_of(u, len(reads), columns, Y.shape[2])
                used = (tiles[1] - tiles[0]) * examples
                size = 16 * (used + lanes)
                V = work[w, : c_in * size].reshape(16, c_in, used + lanes)
                A = work[w, c_in * size : (c_in + rows) * size].reshape(16, rows, used + lanes)
                transform(Y, (0, c_in), reads, tiles, start, examples, lanes, zeros, V, False)
                transform(Z_block, (0, rows), writes, tiles, start, examples, lanes, zeros, A, True)
                for f in range(16):
                    G = parts[part, f].reshape(-1)[first * c_in : last * c_in]
                    add_products(G, A[f], V[f], used, lanes)


def suits(geometry: Geometry, c_out: int, c_in: int) -> bool:
    """Return whether these convolutions are faster by minimal filtering."""
    return (geometry.width, geometry.stride) == ((3, 3), (1, 1)) and min(c_out, c_in) >= CHANNELS


def suits_transpose(geometry: Geometry, c_out: int, c_in: int) -> bool:
    """Return whether their transposes are: where they are convolutions, by the stencil turned around."""
    return suits(geometry, c_out, c_in) and geometry.boundary != "reflect"


def is_wide(c_out: int, c_in: int, itemsize: int) -> bool:
    """Return whether a convolution by a stencil of these channels goes by frequency."""
    return 16 * c_out * c_in * itemsize >= WIDE


def turned_around(stencil: NDArray[Any]) -> NDArray[Any]:
    """Return the stencil ``(C_in, C_out, 3, 3)`` of the transpose."""
    return stencil[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)


def _plan(
    geometry: Geometry, channels: int, X: NDArray[Any], lanes: int, most: tuple[int, int]
) -> tuple[Any, int, int]:
    """Return the tiles' cells, the columns of a piece and the number of pieces."""
    cells, m = tile_cells(geometry), X.shape[2]
    columns = max(LEAST, min(most[1], most[0] // (16 * channels * X.itemsize))) // lanes * lanes
    columns = min(columns, len(cells[0]) * m)
    together = max(1, columns // min(m, columns))
    return cells, columns, -(-len(cells[0]) // together) * -(-m // columns)


def convolve(X, U, turned, geometry, workers, lanes, start, use_start, out, *post):  # type: ignore[no-untyped-def]
    """Do what ``convolve.convolve`` does, for the frequencies `U` of a 3 x 3 stencil.

    With `turned`, in wide layers alone, for those of the stencil turned around. Each of `workers` has memory
    of its own; no result depends on their number.
    """
    channels, wide = U.shape[1] + U.shape[2], is_wide(*U.shape[1:], U.itemsize)
    cells, columns, pieces = _plan(geometry, channels, X, lanes, CHUNK if wide else CONVOLUTION)
    work = aligned_empty((1 if wide else workers, 16 * channels * columns), X.dtype)
    how = cells, columns, pieces, lanes
    with one_blas_thread():
        if wide:
            by_frequency.convolve(X, U, turned, *how, work[0], out, use_start, start, *post)
        else:
            _convolve(X, U, *how, work, out, use_start, start, *post)


def stencil_gradient(
    Y: NDArray[Any], Z: NDArray[Any], geometry: Geometry, lanes: int, workers: int
) -> NDArray[Any]:
    """Return the taps ``G_j = Z (C_j Y)^T`` of a 3 x 3 stencil, summed up in a fixed number of parts.

    Each of `workers` has memory of its own; no result depends on their number.
    """
    if min(len(Y), len(Z)) >= WIDE_GRADIENT:
        return stencil_from_frequencies(_wide_gradient(Y, Z, geometry, lanes), Y.dtype)
    size = 16 * len(Z) * len(Y) * Y.itemsize
    count, blocks = division(len(Z), size, TASKS)
    channels = len(Y) + -(-len(Z) // (blocks * PAIRS)) * PAIRS
    cells, columns, pieces = _plan(geometry, channels, Y, lanes, GRADIENT)
    count = min(count, pieces)
    # Rows one vector longer than a power of two, so that they do not all meet in the same part of the cache.
    work = aligned_empty((min(workers, count * blocks), 16 * channels * (columns + lanes)), Y.dtype)
    parts = np.zeros((count, 16, len(Z), len(Y)), Y.dtype)
    _stencil_gradient(Y, Z, cells, columns, pieces, lanes, blocks, work, parts)
    return stencil_from_frequencies(parts[0] if count == 1 else parts.sum(axis=0), Y.dtype)


def _wide_gradient(Y: NDArray[Any], Z: NDArray[Any], geometry: Geometry, lanes: int) -> NDArray[Any]:
    channels = len(Y) + len(Z)
    cells, columns, pieces = _plan(geometry, channels, Y, lanes, CHUNK)
    work = aligned_empty((16 * channels * columns,), Y.dtype)
    G = aligned_empty((16, len(Z), len(Y)), Y.dtype)
    more = aligned_empty(G.shape, Y.dtype) if pieces > 1 else G
    with one_blas_thread():
        by_frequency.stencil_gradient(Y, Z, cells, columns, pieces, lanes, work, more, G)
    return G
