"""Which cells the outputs along one axis read, in order: runs of outputs that differ by a shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refmg_backends.geometry import OUTSIDE, Geometry, fold


@dataclass(frozen=True)
class AxisEntries:
    """The entries of a convolution's matrix along one axis, a run of outputs after the other.

    The outputs of a run read the same cells, each output ``stride`` cells further on than the one before.

    Attributes
    ----------
    counts : ndarray, shape (runs,)
        Number of outputs of each run.
    cells : ndarray, shape (runs, width)
        Sorted cells of each run's first output; ``OUTSIDE`` behind the last one.
    slots : ndarray, shape (runs, width)
        Place of each tap's cell among the sorted ones, ``OUTSIDE`` for taps that read none.
    stride : int
        Cells from one output to the next.
    """

    counts: NDArray[np.intp]
    cells: NDArray[np.intp]
    slots: NDArray[np.intp]
    stride: int

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Number of cells that each output of a run reads."""
        return np.count_nonzero(self.cells != OUTSIDE, axis=1)

    def each_output(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the cells ``(outputs, width)`` of all outputs, and the run of each."""
        run = np.repeat(np.arange(len(self.counts)), self.counts)
        first = np.cumsum(self.counts) - self.counts
        cells = self.cells[run]
        shift = self.stride * (np.arange(len(run)) - first[run])
        return np.where(cells == OUTSIDE, OUTSIDE, cells + shift[:, None]), run


def axis_entries(n: int, width: int, boundary: str, stride: int) -> AxisEntries:
    """Return the entries along an axis of `n` cells.

    Examples
    --------
    >>> reflect = axis_entries(5, 3, "reflect", 1)
    >>> reflect.counts.tolist(), reflect.cells.tolist()
    ([1, 3, 1], [[0, 1, -1], [0, 1, 2], [3, 4, -1]])
    >>> reflect.slots.tolist()
    [[0, 0, 1], [0, 1, 2], [0, 1, 1]]
    """
    reach, outputs = width // 2, -(-n // stride)
    # From `first` to before `last` every tap is on the grid; other outputs are runs of their own.
    first, last = -(-reach // stride), (n - 1 - reach) // stride + 1
    if first < last:
        starts = np.concatenate([np.arange(first + 1), np.arange(last, outputs)])
    else:
        starts = np.arange(outputs)
    read = fold(stride * starts[:, None] + np.arange(width) - reach, n, boundary)
    cells, slots = _without_repetition(read, n)
    return AxisEntries(np.diff(starts, append=outputs), cells, slots, stride)


def _without_repetition(read: NDArray[np.intp], n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the sorted cells of each row, and the place of every entry among them."""
    order = np.argsort(np.where(read == OUTSIDE, n, read), axis=1, kind="stable")
    ordered = np.take_along_axis(read, order, 1)
    new = np.diff(ordered, axis=1, prepend=n) != 0
    new &= ordered != OUTSIDE
    places = np.where(ordered == OUTSIDE, OUTSIDE, np.cumsum(new, axis=1) - 1)
    cells, slots = np.full_like(read, OUTSIDE), np.empty_like(places)
    np.put_along_axis(slots, order, places, 1)
    rows, columns = np.nonzero(new)
    cells[rows, places[rows, columns]] = ordered[rows, columns]
    return cells, slots


def every_axis(geometry: Geometry) -> list[AxisEntries]:
    """Return the entries along each axis of a convolution."""
    g = geometry
    sizes = zip(g.shape, g.width, g.stride, strict=True)
    return [axis_entries(n, width, g.boundary, stride) for n, width, stride in sizes]


def tap_places(
    axes: list[AxisEntries], width: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Return places in a table ``(runs of each axis.., slots of each axis..)``, which taps, and its size.

    Taps that read the same cell have the same place.
    """
    place, inside = np.zeros((1, 1), np.intp), np.ones((1, 1), bool)
    for axis, k in zip(axes, width, strict=True):
        slots = axis.slots[None, :, None, :]
        size = place.shape[0] * len(axis.slots), place.shape[1] * k
        place = (place[:, None, :, None] * k + slots).reshape(size)
        inside = (inside[:, None, :, None] & (slots != OUTSIDE)).reshape(size)
    combination, tap = np.nonzero(inside)
    return combination * place.shape[1] + place[inside], tap, place.size


def combined(
    parts: list[tuple[NDArray[np.intp], NDArray[np.intp]]], axes: list[AxisEntries], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells ``(outputs, slots)`` and the combined run of every output of several axes.

    `parts` are the same of each axis, see :meth:`AxisEntries.each_output`.
    """
    cells, runs = np.zeros((1, 1), np.intp), np.zeros(1, np.intp)
    for (each, run), axis, n in zip(parts, axes, shape, strict=True):
        outside = (cells == OUTSIDE)[:, None, :, None] | (each == OUTSIDE)[None, :, None, :]
        joined = np.where(outside, OUTSIDE, cells[:, None, :, None] * n + each[None, :, None, :])
        cells = joined.reshape(len(cells) * len(each), -1)
        runs = (runs[:, None] * len(axis.counts) + run).ravel()
    return cells, runs
