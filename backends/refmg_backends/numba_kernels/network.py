"""A residual network from images to features, a block of examples at a time.

``Y_0 = L x`` and ``Y_{k+1} = Y_k + scale sigma(K_k Y_k + b_k)``: one thread takes a block of examples through
all layers while its states stay in the second-level cache. Arrays of a block are ``(cells + 1,
channels, lanes)``, so that what a stencil reads is near; who writes a block writes zeros into the last cell,
which taps outside the grid read. Those of all blocks are ``(blocks, layers, cells + 1, channels, lanes)``.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange

from refmg_backends.numba_kernels.convolve import activate, cell, jumps_of
from refmg_backends.numba_kernels.gradient import cells_of, pairs
from refmg_backends.numba_kernels.readout import features_adjoint, write_logits
from refmg_backends.numba_kernels.vectors import NONE, ONE, VECTORS

TILE = 28  # cells whose channels are paired for a gradient while they are in the first-level cache


@njit(cache=True)
def _into(X, first, block):
    """Copy examples from `first` on into a block; those that there are not become zero."""
    count = min(block.shape[2], X.shape[2] - first)
    for i in range(X.shape[1]):
        for c in range(block.shape[1]):
            for l in range(count):
                block[i, c, l] = X[c, i, first + l]
            for l in range(count, block.shape[2]):
                block[i, c, l] = 0
    block[X.shape[1]] = 0


@njit(cache=True)
def _out_of(block, first, X):
    """Copy a block to where its examples are."""
    count = min(block.shape[2], X.shape[2] - first)
    for i in range(X.shape[1]):
        for c in range(block.shape[1]):
            for l in range(count):
                X[c, i, first + l] = block[i, c, l]


@njit(cache=True, inline="always")
def _rows(block):
    """Return a block with one row a cell."""
    return block.reshape(block.shape[0], block.shape[1] * block.shape[2])


@njit(cache=True)
def _jumps(tap_of, c_in):
    """Return where the coefficients of each tap are, for each size of a block of outputs."""
    jumps = np.empty((4, tap_of.size), np.int64)
    for t in range(tap_of.size):
        jumps_of(tap_of, t, t, c_in, jumps)
    return jumps


@njit(cache=True, inline="always")
def _sums(X, taps, reads, jumps, start, use_start, out, i, wide):
    """Write ``start + K X`` at cell i of a block; `wide`: of VECTORS vectors of examples, else of one."""
    c_out, c_in, each = out.shape[1], X.shape[1], X.shape[2]
    if wide:
        cell(out, i * c_out * each, each, start, use_start, X, 0, each, taps, reads[i], jumps,
             reads.shape[1], c_out, c_in, VECTORS)  # fmt: skip
    else:
        cell(out, i * c_out * each, each, start, use_start, X, 0, each, taps, reads[i], jumps,
             reads.shape[1], c_out, c_in, 1)  # fmt: skip


@njit(cache=True)
def _convolve(X, taps, reads, tap_of, start, use_start, out, wide):
    """Write ``start + K X`` for a block."""
    jumps = _jumps(tap_of, X.shape[1])
    for i in range(reads.shape[0]):
        _sums(X, taps, reads, jumps, start, use_start, out, i, wide)
    out[reads.shape[0]] = 0


@njit(cache=True)
def _step(Y, taps, reads, bias, k, scale, code, wide, lanes, out, slope, use_slope):
    """Write ``Y + scale * sigma(K Y + b)`` for a block, and the slope."""
    channels, each, jumps = Y.shape[1], Y.shape[2], _jumps(np.arange(reads.shape[1]), Y.shape[1])
    flat, slopes, bases = out.reshape(-1), slope.reshape(-1), Y.reshape(-1)
    for i in range(reads.shape[0]):
        _sums(Y, taps, reads, jumps, out, 0, out, i, wide)
        for o in range(channels):
            at = (i * channels + o) * each
            activate(flat, slopes, bases, at, each // lanes, bias[o], k, scale, 1, use_slope, code)
    out[reads.shape[0]] = 0


@njit(cache=True)
def _result(Y, first, out, W, logits, wide):
    """Write a block's part of the final features, or of their products with weights where there are some."""
    if W.shape[0]:
        write_logits(Y, W, first, logits, wide)
    else:
        _out_of(Y, first, out)


@njit(parallel=True, cache=True, nogil=True)
def propagate(x, opening, reads0, taps, reads, biases, k, scale, code, lanes, images, states, slopes, keep,
              scratch, out, W, logits):  # fmt: skip
    """Write the final features or logits; with `keep` also images, states and slopes of all blocks.

    Parameters
    ----------
    x, out : ndarray, shapes (C_in, cells, m) and (C, cells, m)
        Images and final features.
    opening, taps : ndarray, shapes (taps0,) and (layers, taps)
        Packed.
    reads0, reads : ndarray, shapes (cells, taps)
        Where each tap of a cell reads in a block: the cell after the last one holds zeros.
    images, states, slopes : ndarray
        Of all blocks; without `keep` any arrays of one block a thread.
    scratch : ndarray, shape (threads, 2, cells + 1, C, lanes of a block)
        What a thread works in.
    W, logits : ndarray, shapes (cells * C, classes) and (classes, m)
        Weights, and where to write their products with the features; without rows `out` is written.
    """
    layers, each = taps.shape[0], scratch.shape[4]
    blocks = (x.shape[2] + each - 1) // each
    for b in prange(blocks):
        thread = np.int64(numba.get_thread_id())
        own = np.int64(b) if keep else thread
        image, wide = images[own], each > lanes
        _into(x, b * each, image)
        Y = states[own, 0] if keep and layers > 0 else scratch[thread, 0]
        _convolve(image, opening, reads0, np.arange(reads0.shape[1]), Y, NONE, Y, wide)
        for j in range(layers):
            following = states[own, j + 1] if keep and j + 1 < layers else scratch[thread, (j + 1) % 2]
            slope = slopes[own, j] if keep else following
            _step(Y, taps[j], reads, biases[j], k, scale, code, wide, lanes, following, slope,
                  1 if keep else 0)  # fmt: skip
            Y = following
        _result(Y, b * each, out, W, logits, wide)


@njit(cache=True)
def _tangent_step(dY, Y, slope, taps, directions, reads, bias, scale, wide, out):
    """Write ``dY + scale * slope * (K dY + dK Y + db)`` for a block."""
    jumps, spread = _jumps(np.arange(reads.shape[1]), Y.shape[1]), np.repeat(bias, Y.shape[2])
    flat, slopes, bases = _rows(out), _rows(slope), _rows(dY)
    for i in range(reads.shape[0]):
        _sums(dY, taps, reads, jumps, out, 0, out, i, wide)
        _sums(Y, directions, reads, jumps, out, 1, out, i, wide)
        for j in range(spread.size):
            flat[i, j] = bases[i, j] + scale * (slopes[i, j] * (flat[i, j] + spread[j]))
    out[reads.shape[0]] = 0


@njit(parallel=True, cache=True, nogil=True)
def tangent(taps, reads, opening, reads0, directions, biases, scale, lanes, images, states, slopes, scratch,
            out, W, logits):  # fmt: skip
    """Write the derivative of features or logits along directions of opening, stencils and biases."""
    layers, each = taps.shape[0], scratch.shape[4]
    for b in prange(images.shape[0]):
        thread, wide = np.int64(numba.get_thread_id()), each > lanes
        dY = scratch[thread, 0]
        _convolve(images[b], opening, reads0, np.arange(reads0.shape[1]), dY, NONE, dY, wide)
        for j in range(layers):
            following = scratch[thread, (j + 1) % 2]
            _tangent_step(dY, states[b, j], slopes[b, j], taps[j], directions[j], reads, biases[j], scale,
                          wide, following)  # fmt: skip
            dY = following
        _result(dY, b * each, out, W, logits, wide)


@njit(cache=True)
def _cotangent(slope, P, scale, Q, sums):
    """Write ``Q = scale * slope * P`` and add its sums by channel."""
    slopes, flat, out = _rows(slope), _rows(P), _rows(Q)
    columns = np.zeros(flat.shape[1], P.dtype)
    for i in range(flat.shape[0] - 1):
        for j in range(columns.size):
            q = scale * (slopes[i, j] * flat[i, j])
            out[i, j] = q
            columns[j] += q
    out[flat.shape[0] - 1] = 0
    for c in range(P.shape[1]):
        sums[c] += columns[c * P.shape[2] : (c + 1) * P.shape[2]].sum()


@njit(cache=True)
def _pair(Z, Y, table, wide, G):
    """Add to G, flat ``(C_out, taps, C_in)``, the stencil gradient of a block."""
    taps, cells, each, c_out, c_in = table.shape[0], table.shape[1], Z.shape[2], Z.shape[1], Y.shape[1]
    z_cells, y_cells = np.empty((taps, TILE), np.int64), np.empty((taps, TILE), np.int64)
    counts = np.empty(taps, np.int64)
    for first in range(0, cells, TILE):
        cells_of(table, first, min(cells, first + TILE), c_out * each, c_in * each, z_cells, y_cells, counts)
        if wide:
            pairs(G, c_out, c_in, Z, Y, NONE, each, each, z_cells, y_cells, counts, VECTORS)
        else:
            pairs(G, c_out, c_in, Z, Y, NONE, each, each, z_cells, y_cells, counts, 1)


@njit(parallel=True, cache=True, nogil=True)
def adjoint(P, W, G, back, reads, tap_of, table0, table, scale, lanes, images, states, slopes, scratch,
            openings, stencils, biases):  # fmt: skip
    """Write parts of the gradients for an adjoint of the final features, or of logits.

    Parameters
    ----------
    P : ndarray, shape (C, cells, m)
        On the final features, where `W` has no rows.
    W, G : ndarray, shapes (classes, cells * C) and (classes, m)
        Else ``W^T G`` is.
    back : ndarray, shape (layers, taps)
        The packed taps of the transposes; `reads` and `tap_of` are those of the transposes.
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
            if W.shape[0]:
                features_adjoint(W, G, b * each, here, wide)
            else:
                _into(P, b * each, here)
            for step in range(layers):
                j, before = layers - 1 - step, scratch[thread, (step + 1) % 2]
                _cotangent(slopes[b, j], here, scale, Q, biases[part, j])
                _pair(Q, states[b, j], table, wide, stencils[part, j])
                _convolve(Q, back[j], reads, tap_of, here, ONE, before, wide)
                here = before
            _pair(here, images[b], table0, wide, openings[part])
