"""Explicit convolution matrices: canonical CSR from a stencil, in one gather."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from refmg_backends.geometry import OUTSIDE, Geometry


@dataclass(frozen=True)
class _Pattern:
    """Where the entries of one output channel's rows come from; the same for every stencil."""

    taps: NDArray[np.intp]  # taps, sorted by (output, cell)
    starts: NDArray[np.intp]  # first tap of each entry: on tiny grids several taps share a cell
    order: NDArray[np.intp]  # entries of all input channels, sorted by (output, channel, cell)
    source: NDArray[np.intp] | None  # tap and channel of each sorted entry, where none has several taps
    indices: NDArray[Any]
    lengths: NDArray[np.intp]  # entries in the row of each output cell


@lru_cache(maxsize=32)
def _pattern(geometry: Geometry, channels: int) -> _Pattern:
    taps, outputs = np.nonzero(geometry.table != OUTSIDE)
    cells = geometry.table[taps, outputs]
    by_entry = np.lexsort((taps, cells, outputs))
    keys = outputs[by_entry] * geometry.cells + cells[by_entry]
    entries, starts = np.unique(keys, return_index=True)
    output, cell = np.divmod(entries, geometry.cells)
    channel = np.repeat(np.arange(channels), entries.size)
    order = np.lexsort((np.tile(cell, channels), channel, np.tile(output, channels)))
    columns = (channel * geometry.cells + np.tile(cell, channels))[order]
    lengths = channels * np.bincount(output, minlength=geometry.out_cells)
    source = None
    if starts.size == taps.size:
        source = (channel * geometry.taps + np.tile(taps[by_entry], channels))[order]
    # SciPy would convert 64-bit indices that fit into 32 bits, and take longer than all the rest.
    kind = np.int32 if channels * geometry.cells < 2**31 else np.int64
    return _Pattern(taps[by_entry], starts, order, source, columns.astype(kind), lengths)


def _values(stencil: NDArray[Any], geometry: Geometry, pattern: _Pattern) -> NDArray[Any]:
    """Return the entries of the matrix, row by row."""
    c_out, c_in = stencil.shape[:2]
    if pattern.source is not None:
        return np.take(stencil.reshape(c_out, c_in * geometry.taps), pattern.source, axis=1).ravel()
    values = stencil.reshape(c_out, c_in, geometry.taps)[..., pattern.taps]
    merged = np.add.reduceat(values, pattern.starts, axis=-1) if values.size else values
    return merged.reshape(c_out, -1)[:, pattern.order].ravel()


def assemble(stencil: NDArray[Any], geometry: Geometry) -> sparse.csr_array:
    r"""Return :math:`K(s) = \sum_j S_j \otimes C_j` as a canonical CSR array.

    Parameters
    ----------
    stencil : ndarray, shape (C_out, C_in, k_1, .., k_d)
        Taps, of any numeric type; integers stay integers.
    geometry : Geometry
        Grid, width, boundary and stride.

    Returns
    -------
    scipy.sparse.csr_array, shape (C_out * out_cells, C_in * cells)
        Sorted indices, no duplicates. Taps that are zero are stored, so that the pattern depends on
        the geometry alone.

    Examples
    --------
    >>> assemble(np.array([[[1, 5, 2]]]), Geometry((4,), (3,))).toarray()
    array([[5, 2, 0, 1],
           [1, 5, 2, 0],
           [0, 1, 5, 2],
           [2, 0, 1, 5]])
    """
    c_out, c_in = stencil.shape[:2]
    pattern = _pattern(geometry, c_in)
    data = _values(stencil, geometry, pattern)
    kind = np.int32 if data.size < 2**31 else np.int64
    indptr = np.zeros(c_out * geometry.out_cells + 1, kind)
    np.cumsum(np.tile(pattern.lengths, c_out), out=indptr[1:])
    indices = np.tile(pattern.indices, c_out).astype(kind, copy=False)
    size = (c_out * geometry.out_cells, c_in * geometry.cells)
    matrix = sparse.csr_array((data, indices, indptr), shape=size)
    matrix.has_canonical_format = True
    return matrix
