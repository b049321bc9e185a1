"""The maximum over a window, and its adjoint: each one pass over memory, examples side by side."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

BLOCKS = 8  # parts of each channel's cells


@njit(parallel=True, cache=True, nogil=True)
def largest(Y, table, best, choice, use_choice):
    """Write the maxima and, with `use_choice`, the first tap that has each.

    `Y` has shape ``(C, cells, m)``, `best` and `choice` ``(C, out_cells, m)``, `table` ``(out_cells, taps)``
    with the cell that a tap reads, negative for none.
    """
    channels, outputs, m = best.shape
    for u in prange(channels * BLOCKS):
        c, j = u // BLOCKS, u % BLOCKS
        # Taps as wide as the features, so that both are chosen from in one vector operation.
        which = np.empty(m, Y.dtype)
        for o in range(j * outputs // BLOCKS, (j + 1) * outputs // BLOCKS):
            top = best[c, o]
            top[:], which[:] = -np.inf, 0
            for tap in range(table.shape[1]):
                if table[o, tap] >= 0:
                    _compare(Y[c, table[o, tap]], Y.dtype.type(tap), top, which, use_choice)
            if use_choice:
                for l in range(m):
                    choice[c, o, l] = np.int8(which[l])


@njit(nogil=True)
def _compare(row, tap, top, which, use_choice):
    """Take what is larger into `top`, and where that was into `which`."""
    for l in range(len(row)):
        x, y = row[l], top[l]
        if use_choice:
            which[l] = tap if y < x else which[l]
        # A NaN stays, as in NumPy's maximum: it is not equal to itself.
        top[l] = x if y < x or x != x else y


@njit(parallel=True, cache=True, nogil=True)
def largest_adjoint(choice, P, taps, outputs, back):
    """Write for each cell the sum of `P` over the outputs that chose it.

    `P` and `choice` have shape ``(C, out_cells, m)``, `back` ``(C, cells, m)``; ``outputs[i, k]`` reads
    cell i through ``taps[k]``, negative for none.
    """
    channels, cells, m = back.shape
    for u in prange(channels * BLOCKS):
        c, j = u // BLOCKS, u % BLOCKS
        for i in range(j * cells // BLOCKS, (j + 1) * cells // BLOCKS):
            back[c, i] = 0
            for k in range(len(taps)):
                o = outputs[i, k]
                if o < 0:
                    continue
                for l in range(m):
                    back[c, i, l] += P[c, o, l] if choice[c, o, l] == taps[k] else 0
