"""Minimal filtering of wide layers: each frequency's product of matrices as a whole.

The stencils of many channels outgrow the second-level cache, so that pieces which fit there would read them
again each. Here a chunk of the features is transformed, channels side by side, then multiplied, frequencies
side by side, by the BLAS: every stencil is read once a chunk. Chunks follow one another and the shapes decide
on them, so that no result depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from refmg_backends.numba_kernels.pieces import finish, piece_of, transform

FREQUENCIES = 16
RANGES = 16  # of channels, whose transforms are made side by side


@njit(cache=True)
def product(U, f, turned, V, M):
    """Write ``U_f V`` into M, or ``U'_f V`` for the frequencies U' of the stencil turned around.

    Reversing three taps exchanges the first and the last of their four frequencies, so U' needs no memory.
    """
    if turned:
        p, q = f // 4, f % 4
        p, q = p if p % 3 else 3 - p, q if q % 3 else 3 - q
        np.dot(U[4 * p + q].T, V, M)
    else:
        np.dot(U[f], V, M)


@njit(cache=True)
def _range(k, channels):
    """Return the channels of range k."""
    return k * channels // RANGES, (k + 1) * channels // RANGES


@njit(cache=True)
def _factors(work, first, second, columns):
    """Return two arrays in `work`, ``(16, first, columns)`` and ``(16, second, columns)``."""
    size = FREQUENCIES * columns
    one, two = work[: first * size], work[first * size : (first + second) * size]
    return one.reshape(FREQUENCIES, first, columns), two.reshape(FREQUENCIES, second, columns)


@njit(parallel=True, cache=True, nogil=True)
def convolve(X, U, turned, cells, columns, pieces, lanes, work, out, use_start, add_to, post, slope, base,
             bias, k, scale, use_base, use_slope, code):  # fmt: skip
    """Do what ``winograd.convolve`` does, with `work` for ``16 (C_in + C_out) columns`` numbers."""
    reads, writes = cells
    c_out, c_in = out.shape[0], X.shape[0]
    for u in range(pieces):
        tiles, start, examples = piece_of(u, len(reads), columns, X.shape[2])
        V, M = _factors(work, c_in, c_out, (tiles[1] - tiles[0]) * examples)
        for r in prange(RANGES):
            zeros = np.zeros(columns, X.dtype)
            transform(X, _range(r, c_in), reads, tiles, start, examples, lanes, zeros, V, False)
        for f in prange(FREQUENCIES):
            product(U, f, turned, V[f], M[f])
        for r in prange(RANGES):
            zeros, spare = np.zeros(columns, X.dtype), np.empty(columns, X.dtype)
            finish(M, _range(r, c_out), writes, tiles, start, examples, lanes, zeros, spare, out, use_start,
                   add_to, post, slope, base, bias, k, scale, use_base, use_slope, code)  # fmt: skip


@njit(parallel=True, cache=True, nogil=True)
def stencil_gradient(Y, Z, cells, columns, pieces, lanes, work, more, G):
    """Write the frequencies of the stencil gradient into G, ``(16, C_out, C_in)``.

    With `work` as above; `more`, of G's shape, takes the products of the chunks after the first.
    """
    reads, writes = cells
    c_out, c_in = Z.shape[0], Y.shape[0]
    for u in range(pieces):
        tiles, start, examples = piece_of(u, len(reads), columns, Y.shape[2])
        V, A = _factors(work, c_in, c_out, (tiles[1] - tiles[0]) * examples)
        for r in prange(RANGES):
            zeros = np.zeros(columns, Y.dtype)
            transform(Y, _range(r, c_in), reads, tiles, start, examples, lanes, zeros, V, False)
            transform(Z, _range(r, c_out), writes, tiles, start, examples, lanes, zeros, A, True)
        for f in prange(FREQUENCIES):
            np.dot(A[f], V[f].T, G[f] if u == 0 else more[f])
            if u > 0:
                G[f] += more[f]
