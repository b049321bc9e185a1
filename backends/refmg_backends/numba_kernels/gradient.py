"""The stencil gradient: inner products of two sets of channels, one for each tap."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from refmg_backends.geometry import OUTSIDE
from refmg_backends.numba_kernels.vectors import INPUTS, NONE, PAIRS, RUN, pair_sum

# Bytes that all parts of a sum may take before there are fewer of them; rows that a block has at least.
SUMS, ROWS = 4 << 20, 32
TILE = 14  # cells whose products are summed up in registers before the lanes are added


@njit(cache=True)
def block_pairs(G, o, c, c_in, Z, Y, l, z_stride, y_stride, z_cells, y_cells, counts, size_o, size_c,
                vectors):  # fmt: skip
    """Add the products of a block of channels, tap after tap while the tile is in the cache."""
    taps = counts.size
    z_at, y_at = o * z_stride + l, c * y_stride + l
    for tap in range(taps):
        at, n = (o * taps + tap) * c_in + c, counts[tap]
        if n == 0:
            continue
        if size_o > 1 and size_c > 1:
            pair_sum(G, at, taps * c_in, Z, z_at, z_stride, z_cells[tap], Y, y_at, y_stride,
                     y_cells[tap], n, PAIRS, INPUTS, vectors)  # fmt: skip
        elif size_o > 1:
            pair_sum(G, at, taps * c_in, Z, z_at, z_stride, z_cells[tap], Y, y_at, y_stride,
                     y_cells[tap], n, PAIRS, 1, vectors)  # fmt: skip
        elif size_c > 1:
            pair_sum(G, at, taps * c_in, Z, z_at, z_stride, z_cells[tap], Y, y_at, y_stride,
                     y_cells[tap], n, 1, INPUTS, vectors)  # fmt: skip
        else:
            pair_sum(G, at, taps * c_in, Z, z_at, z_stride, z_cells[tap], Y, y_at, y_stride,
                     y_cells[tap], n, 1, 1, vectors)  # fmt: skip


@njit(cache=True)
def pairs(G, c_out, c_in, Z, Y, l, z_stride, y_stride, z_cells, y_cells, counts, vectors):
    """Add the products of all pairs of channels, so far apart; ``G`` is ``(C_out, taps, C_in)``.

    Written out in the call, `vectors` is compiled in: vectors of examples at a time.
    """
    c = NONE
    while c < c_in:
        size_c, o = (INPUTS if c + INPUTS <= c_in else 1), NONE
        while o < c_out:
            size_o = PAIRS if o + PAIRS <= c_out else 1
            block_pairs(G, o, c, c_in, Z, Y, l, z_stride, y_stride, z_cells, y_cells, counts, size_o, size_c,
                        vectors)  # fmt: skip
            o += size_o
        c += size_c


@njit(cache=True)
def cells_of(table, first, last, z_step, y_step, z_cells, y_cells, counts):
    """Write for each tap where outputs ``first..last-1`` are, what they read, and how many do."""
    for tap in range(table.shape[0]):
        count = 0
        for i in range(first, last):
            if table[tap, i] != OUTSIDE:
                z_cells[tap, count] = i * z_step
                y_cells[tap, count] = table[tap, i] * y_step
                count += 1
        counts[tap] = count


def division(rows: int, size: int, wanted: int) -> tuple[int, int]:
    """Return into how many parts a sum is cut, and its rows into how many blocks, for some parallel tasks.

    Every part has a sum of its own to write, every block reads the other factor again. The shapes decide, so
    that no result depends on the number of threads: as many parts as wanted where they are small, else
    fewer, and blocks for the rest.

    Parameters
    ----------
    rows : int
        Of the sum.
    size : int
        Its bytes.
    wanted : int
        Tasks.

    Examples
    --------
    >>> division(64, 1 << 18, 8), division(128, 1 << 20, 8), division(256, 1 << 22, 8)
    ((8, 1), (4, 2), (1, 8))
    """
    parts = max(1, min(wanted, SUMS // size))
    return parts, max(1, min(-(-wanted // parts), rows // ROWS))


@njit(cache=True)
def block_of(rows, block, blocks):
    """Return the first row of a block and the one behind its last; all but the last in whole tiles."""
    whole = (rows + PAIRS - 1) // PAIRS
    return block * whole // blocks * PAIRS, min(rows, (block + 1) * whole // blocks * PAIRS)


@njit(cache=True)
def rows_of(X, first, last):
    """Return these channels of features, as an array that is known to lie in order."""
    size = X.shape[1] * X.shape[2]
    return X.reshape(-1)[first * size : last * size].reshape(last - first, X.shape[1], X.shape[2])


@njit(parallel=True, cache=True, nogil=True)
def stencil_gradient(Y, Z, table, lanes, blocks, parts):
    """Write sums of parts of the cells and examples into `parts`, ``(parts, C_out, taps, C_in)``.

    How many parts there are, and blocks of output channels, is the caller's choice, not that of the
    threads: the sum of the parts has the same bits whatever the number of threads.
    """
    c_in, _, m = Y.shape
    c_out, M = Z.shape[0], Z.shape[1]
    taps, count = table.shape[0], parts.shape[0]
    wide = m // (lanes * RUN)
    groups = wide + (m - wide * lanes * RUN) // lanes
    tiles = (M + TILE - 1) // TILE
    for task in prange(count * blocks):
        part, (first, last) = task // blocks, block_of(c_out, task % blocks, blocks)
        G = parts[part].reshape(-1)[first * taps * c_in : last * taps * c_in]
        Z_block = rows_of(Z, first, last)
        z_cells, y_cells = np.empty((taps, TILE), np.int64), np.empty((taps, TILE), np.int64)
        counts = np.empty(taps, np.int64)
        for u in range(tiles * groups * part // count, tiles * groups * (part + 1) // count):
            g, tile = u // tiles, u % tiles
            l = g * lanes * RUN if g < wide else (wide * RUN + g - wide) * lanes
            cells_of(table, tile * TILE, min(M, (tile + 1) * TILE), m, m, z_cells, y_cells, counts)
            if g < wide:
                pairs(G, last - first, c_in, Z_block, Y, l, M * m, Y.shape[1] * m, z_cells, y_cells, counts,
                      RUN)  # fmt: skip
            else:
                pairs(G, last - first, c_in, Z_block, Y, l, M * m, Y.shape[1] * m, z_cells, y_cells, counts,
                      1)  # fmt: skip


@njit(cache=True)
def add_products(G, Z, Y, columns, lanes):
    """Add ``Z Y^T`` to G, flat, for the first columns of `Z` and `Y`, with as many rows as channels."""
    c_out, c_in = Z.shape[0], Y.shape[0]
    wide = columns // (lanes * RUN)
    rest = wide * lanes * RUN
    runs = np.arange(wide).reshape(1, -1) * (lanes * RUN)
    tails = np.arange((columns - rest) // lanes).reshape(1, -1) * lanes
    if wide:
        pairs(G, c_out, c_in, Z, Y, NONE, Z.shape[1], Y.shape[1], runs, runs, np.array([wide]), RUN)
    if tails.size:
        pairs(G, c_out, c_in, Z, Y, rest, Z.shape[1], Y.shape[1], tails, tails, np.array([tails.size]), 1)
