"""A residual network from images to features, a block of examples at a time.

``Y_0 = L x`` and ``Y_{k+1} = Y_k + scale sigma(K_k Y_k + b_k)``: one thread takes a block of examples through
all layers while its states stay in the second-level cache. Arrays of a block are ``(cells,
channels, lanes)``, so that what a stencil reads is near; of all blocks ``(blocks, layers, cells, channels,
lanes)``.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange

from refmg_backends.numba_kernels.convolve import activate, cell, jumps_of, narrow, offsets_of
from refmg_backends.numba_kernels.gradient import cells_of, double_pairs, narrow_pairs

TILE = 28  # cells whose channels are paired for a gradient while they are in the first-level cache


@njit(cache=True)
def _into(X, first, block):
    """Copy examples from `first` on into a block; those that there are not become zero."""
    m = X.shape[2]
    for i in range(block.shape[0]):
        for c in range(block.shape[1]):
            for l in range(block.shape[2]):
                block[i, c, l] = X[c, i, first + l] if first + l < m else 0


@njit(cache=True)
def _out_of(block, first, X):
    """Copy a block to where its examples are."""
    count = min(block.shape[2], X.shape[2] - first)
    for i in range(block.shape[0]):
        for c in range(block.shape[1]):
            for l in range(count):
                X[c, i, first + l] = block[i, c, l]


@njit(cache=True)
def _sums(X, taps, rows, tap_of, complete, start, use_start, out, i, wide, offsets, jumps):
    """Write ``start + K X`` at cell i of a block; `wide` says that it has two vectors of examples."""
    count, c_out, c_in, each = tap_of.size, out.shape[1], X.shape[1], X.shape[2]
    if complete:
        for t in range(count):
            offsets[t] = rows[i, t] * c_in * each
    else:
        count = offsets_of(rows, tap_of, i, c_in * each, c_in, offsets, jumps)
    if count == 0:
        for o in range(c_out):
            for l in range(each):
                out[i, o, l] = start[i, o, l] if use_start else 0
    elif wide:
        cell(out, i * c_out * each, each, start, use_start, X, 0, each, taps, offsets, jumps, count,
             c_out, c_in)  # fmt: skip
    else:
        narrow(out, i * c_out * each, each, start, use_start, X, 0, each, taps, offsets, jumps, count,
               c_out, c_in)  # fmt: skip


@njit(cache=True)
def _tables(tap_of, c_in):
    """Return room for what the taps of a cell read, and where each tap's coefficients are."""
    offsets, jumps = np.empty(tap_of.size, np.int64), np.empty((4, tap_of.size), np.int64)
    for t in range(tap_of.size):
        jumps_of(tap_of, t, t, c_in, jumps)
    return offsets, jumps


@njit(cache=True)
def _convolve(X, taps, rows, tap_of, complete, start, use_start, out, wide):
    """Write ``start + K X`` for a block."""
    offsets, jumps = _tables(tap_of, X.shape[1])
    for i in range(out.shape[0]):
        _sums(X, taps, rows, tap_of, complete, start, use_start, out, i, wide, offsets, jumps)


@njit(cache=True)
def _step(Y, taps, rows, tap_of, complete, bias, k, scale, code, wide, lanes, out, slope, use_slope):
    """Write ``Y + scale * sigma(K Y + b)`` for a block, and the slope."""
    cells, channels, each = Y.shape
    offsets, jumps = _tables(tap_of, channels)
    flat, slopes, bases = out.reshape(-1), slope.reshape(-1), Y.reshape(-1)
    for i in range(cells):
        _sums(Y, taps, rows, tap_of, complete, out, 0, out, i, wide, offsets, jumps)
        for o in range(channels):
            at = (i * channels + o) * each
            activate(flat, slopes, bases, at, each // lanes, bias[o], k, scale, 1, use_slope, code)


@njit(parallel=True, cache=True, nogil=True)
def propagate(x, opening, rows0, tap_of0, complete0, taps, rows, tap_of, complete, biases, k, scale, code,
              lanes, images, states, slopes, keep, scratch, out):  # fmt: skip
    """Write the final features; with `keep` also images, states and slopes of all blocks.

    Parameters
    ----------
    x, out : ndarray, shapes (C_in, cells, m) and (C, cells, m)
        Images and final features.
    opening, taps : ndarray, shapes (taps0,) and (layers, taps)
        Packed; `rows0`, `rows` and so on as ``gather_rows`` returns them.
    images, states, slopes : ndarray
        Of all blocks; without `keep` any arrays of one block a thread.
    scratch : ndarray, shape (threads, 2, cells, C, lanes of a block)
        What a thread works in.
    """
    layers, each = taps.shape[0], scratch.shape[4]
    blocks = (x.shape[2] + each - 1) // each
    for b in prange(blocks):
        thread = np.int64(numba.get_thread_id())
        own = np.int64(b) if keep else thread
        image, wide = images[own], each > lanes
        _into(x, b * each, image)
        Y = states[own, 0] if keep and layers > 0 else scratch[thread, 0]
        _convolve(image, opening, rows0, tap_of0, complete0, Y, 0, Y, wide)
        for j in range(layers):
            following = states[own, j + 1] if keep and j + 1 < layers else scratch[thread, (j + 1) % 2]
            slope = slopes[own, j] if keep else following
            _step(Y, taps[j], rows, tap_of, complete, biases[j], k, scale, code, wide, lanes, following,
                  slope, 1 if keep else 0)  # fmt: skip
            Y = following
        _out_of(Y, b * each, out)


@njit(cache=True)
def _tangent_step(dY, Y, slope, taps, directions, rows, tap_of, complete, bias, scale, wide, out):
    """Write ``dY + scale * slope * (K dY + dK Y + db)`` for a block."""
    cells, channels, each = Y.shape
    offsets, jumps = _tables(tap_of, channels)
    for i in range(cells):
        _sums(dY, taps, rows, tap_of, complete, out, 0, out, i, wide, offsets, jumps)
        _sums(Y, directions, rows, tap_of, complete, out, 1, out, i, wide, offsets, jumps)
        for o in range(channels):
            b = bias[o]
            for l in range(each):
                out[i, o, l] = dY[i, o, l] + scale * (slope[i, o, l] * (out[i, o, l] + b))


@njit(parallel=True, cache=True, nogil=True)
def tangent(taps, rows, tap_of, complete, opening, rows0, tap_of0, complete0, directions, biases, scale,
            lanes, images, states, slopes, scratch, out):  # fmt: skip
    """Write the derivative of the final features along directions of opening, stencils and biases."""
    layers, each = taps.shape[0], scratch.shape[4]
    for b in prange(images.shape[0]):
        thread, wide = np.int64(numba.get_thread_id()), each > lanes
        dY = scratch[thread, 0]
        _convolve(images[b], opening, rows0, tap_of0, complete0, dY, 0, dY, wide)
        for j in range(layers):
            following = scratch[thread, (j + 1) % 2]
            _tangent_step(dY, states[b, j], slopes[b, j], taps[j], directions[j], rows, tap_of, complete,
                          biases[j], scale, wide, following)  # fmt: skip
            dY = following
        _out_of(dY, b * each, out)


@njit(cache=True)
def _cotangent(slope, P, scale, Q, sums):
    """Write ``Q = scale * slope * P`` and add its sums by channel."""
    columns = np.zeros(P.shape[1:], P.dtype)
    for i in range(P.shape[0]):
        for c in range(P.shape[1]):
            for l in range(P.shape[2]):
                q = scale * (slope[i, c, l] * P[i, c, l])
                Q[i, c, l] = q
                columns[c, l] += q
    for c in range(P.shape[1]):
        sums[c] += columns[c].sum()


@njit(cache=True)
def _pair(Z, Y, table, wide, G):
    """Add to G, flat ``(C_out, taps, C_in)``, the stencil gradient of a block."""
    taps, cells, each, c_out, c_in = table.shape[0], Z.shape[0], Z.shape[2], Z.shape[1], Y.shape[1]
    z_cells, y_cells = np.empty((taps, TILE), np.int64), np.empty((taps, TILE), np.int64)
    counts = np.empty(taps, np.int64)
    for first in range(0, cells, TILE):
        cells_of(table, first, min(cells, first + TILE), c_out * each, c_in * each, z_cells, y_cells, counts)
        if wide:
            double_pairs(G, c_out, c_in, Z, Y, 0, each, each, z_cells, y_cells, counts)
        else:
            narrow_pairs(G, c_out, c_in, Z, Y, 0, each, each, z_cells, y_cells, counts)


@njit(parallel=True, cache=True, nogil=True)
def adjoint(P, back, rows, tap_of, complete, table0, table, scale, lanes, images, states, slopes, scratch,
            openings, stencils, biases):  # fmt: skip
    """Write parts of the gradients for an adjoint `P` of the final features.

    Parameters
    ----------
    P : ndarray, shape (C, cells, m)
        On the final features.
    back : ndarray, shape (layers, taps)
        The packed taps of the transposes; `rows`, `tap_of` and `complete` as ``scatter_rows`` returns them.
    openings, stencils, biases : ndarray, shapes (parts, size0), (parts, layers, size), (parts, layers, C)
        The gradients are the sums over the parts; each part sums up some blocks in their order.
    """
    layers, each, parts, blocks = back.shape[0], scratch.shape[4], openings.shape[0], images.shape[0]
    for part in prange(parts):
        thread, wide = np.int64(numba.get_thread_id()), each > lanes
        Q = scratch[thread, 2]
        openings[part], stencils[part], biases[part] = 0, 0, 0
        for b in range(part * blocks // parts, (part + 1) * blocks // parts):
            here = scratch[thread, 0]
            _into(P, b * each, here)
            for step in range(layers):
                j, before = layers - 1 - step, scratch[thread, (step + 1) % 2]
                _cotangent(slopes[b, j], here, scale, Q, biases[part, j])
                _pair(Q, states[b, j], table, wide, stencils[part, j])
                _convolve(Q, back[j], rows, tap_of, complete, here, 1, before, wide)
                here = before
            _pair(here, images[b], table0, wide, openings[part])
