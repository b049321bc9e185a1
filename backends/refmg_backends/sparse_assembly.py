"""Explicit convolution matrices: canonical CSR from a stencil, written line by line without sorting.

Along each axis the cells that an output reads are known in order, and a row of the matrix has their
combinations. Lines of cells that differ by a shift alone have the same values, and the same columns but
for the shift: one line is made, and written as often as there are such lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends.axis_entries import AxisEntries, combined, every_axis, tap_places
from refmg_backends.byte_cache import kept_by_bytes
from refmg_backends.geometry import OUTSIDE, Geometry

if TYPE_CHECKING:
    from scipy import sparse

Indices = NDArray[np.intp]
KEPT = 1 << 22  # bytes of plans that are kept: each is as long as some lines of cells, not as the matrix
LONG = 512  # entries that are written at once, if there are lines enough


@dataclass(frozen=True)
class _Line:
    """The entries of a line: all outputs that share one output of the first axis."""

    count: int  # lines that differ by a shift alone
    shift: int  # of columns, from one line to the next
    columns: Indices  # of the first of them
    source: Indices  # channel and place in the table of values of each entry

    def joined(self) -> list[_Line]:
        """Return the same entries in longer lines: several at a time, and the rest."""
        together = LONG // self.columns.size
        lines, rest = divmod(self.count, max(1, together))
        if together < 2 or lines < 2:
            return [self]
        columns = self.columns + self.shift * np.arange(together)[:, None]
        source = np.tile(self.source, together)
        last = self.columns + self.shift * (self.count - rest)
        return [
            _Line(lines, together * self.shift, columns.ravel(), source),
            *([_Line(rest, self.shift, last, self.source)] if rest else []),
        ]


@dataclass(frozen=True)
class _Plan:
    """All about the entries of one output channel's rows that does not depend on the stencil."""

    axes: list[AxisEntries]
    lines: tuple[_Line, ...]
    entries: int
    shared: tuple[Indices, Indices, int] | None  # places, taps, their number, where taps share entries

    @property
    def bytes(self) -> int:
        """Bytes that are kept."""
        return sum(line.columns.nbytes + line.source.nbytes for line in self.lines)


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
        Sorted indices, no duplicates: taps that read the same cell are added. Taps that are zero are
        stored, so that the pattern depends on the geometry alone.

    Examples
    --------
    >>> assemble(np.array([[[1, 5, 2]]]), Geometry((4,), (3,))).toarray()
    array([[5, 2, 0, 1],
           [1, 5, 2, 0],
           [0, 1, 5, 2],
           [2, 0, 1, 5]])
    """
    from scipy import sparse

    c_out, c_in = stencil.shape[:2]
    plan, size = _plan(geometry, c_in), (c_out * geometry.out_cells, c_in * geometry.cells)
    # SciPy would convert 64-bit indices that fit into 32 bits, and take longer than all the rest.
    kind = np.int32 if max(c_out * plan.entries, size[1]) < 2**31 else np.int64
    data, indices = _entries(_table(stencil, plan), plan, kind)
    matrix = sparse.csr_array((data, indices, _pointers(plan.axes, c_out, c_in, kind)), shape=size)
    matrix.has_canonical_format = True
    return matrix


def forget_plans() -> None:
    """Give up what earlier assemblies left, so that the next one is as slow as the first."""
    _plan.cache.clear()  # type: ignore[attr-defined]


def _table(stencil: NDArray[Any], plan: _Plan) -> NDArray[Any]:
    """Return the taps, or the sums of those that share an entry: ``(C_out, C_in * places)``."""
    c_out, c_in = stencil.shape[:2]
    flat = stencil.reshape(c_out, c_in, prod(stencil.shape[2:]))
    if plan.shared is None:
        return flat.reshape(c_out, -1)
    places, taps, count = plan.shared
    # Sums of short integers get a type that holds them, as NumPy's own sums do.
    table = np.zeros((c_out, c_in, count), np.add.reduce(flat[:0], axis=None).dtype)
    where: Any = ..., places
    np.add.at(table, where, flat[..., taps])  # in the order of the taps
    return table.reshape(c_out, -1)


def _entries(table: NDArray[Any], plan: _Plan, kind: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return values and columns of all entries."""
    data, indices = (np.empty((len(table), plan.entries), dtype) for dtype in (table.dtype, kind))
    at = 0
    for line in plan.lines:
        n, count = line.columns.size, line.count
        part = slice(at, at + count * n)
        values = np.take(table, line.source, axis=1)
        data[:, part].reshape(-1, count, n)[...] = values[:, None]
        shifts = np.arange(count, dtype=kind)[:, None] * kind(line.shift)
        np.add(line.columns.astype(kind), shifts, out=indices[0, part].reshape(count, n))
        at = part.stop
    indices[1:] = indices[0]
    return data.ravel(), indices.ravel()


def _pointers(axes: list[AxisEntries], c_out: int, c_in: int, kind: Any) -> NDArray[Any]:
    """Return where each row begins."""
    lengths = np.full(1, c_in, kind)
    for axis in axes:
        each = np.repeat(axis.lengths.astype(kind), axis.counts)
        lengths = np.multiply.outer(lengths, each).ravel()
    pointers = np.zeros(c_out * lengths.size + 1, kind)
    np.cumsum(np.broadcast_to(lengths, (c_out, lengths.size)), out=pointers[1:], dtype=kind)
    return pointers


@kept_by_bytes(KEPT, lambda plan: plan.bytes)
def _plan(geometry: Geometry, channels: int) -> _Plan:
    axes, lines = every_axis(geometry), list[_Line]()
    places, taps, count = tap_places(axes, geometry.width)
    shared, source = None, np.arange(count)
    if np.unique(places).size < places.size:
        shared = places, taps, count
    else:
        source[places], count = taps, geometry.taps
    of_run = source.reshape(-1, geometry.taps)
    shift = axes[0].stride * prod(geometry.shape[1:])
    for run, number in enumerate(axes[0].counts):
        first = axes[0].cells[run : run + 1], np.full(1, run)
        cells, runs = combined([first, *(axis.each_output() for axis in axes[1:])], axes, geometry.shape)
        entries = _in_all_channels(cells, of_run[runs], channels, geometry.cells, count)
        lines += _Line(int(number), shift, *entries).joined()
    return _Plan(axes, tuple(lines), sum(line.count * line.columns.size for line in lines), shared)


def _in_all_channels(
    cells: Indices, source: Indices, channels: int, n: int, count: int
) -> tuple[Indices, Indices]:
    """Return columns and sources of rows whose entries in one channel are given, ``(outputs, slots)``.

    A channel is `n` columns and `count` sources behind the one before.
    """
    channel = np.arange(channels)[:, None]
    inside = np.broadcast_to((cells != OUTSIDE)[:, None, :], (len(cells), channels, cells.shape[1]))
    return (cells[:, None, :] + n * channel)[inside], (source[:, None, :] + count * channel)[inside]
