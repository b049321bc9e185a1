"""Which cell each tap of a stencil reads: the index arithmetic that every kernel shares."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from refmg_backends.byte_cache import kept_by_bytes
from refmg_backends.errors import RefmgError, one_of

BOUNDARIES = ("periodic", "zero", "reflect")
OUTSIDE = -1
TABLES = 1 << 28  # bytes of tables of each kind that are kept for later calls
Indices = NDArray[np.intp]


def fold(index: Indices, n: int, boundary: str) -> Indices:
    """Map indices of the unbounded line to the cells ``0..n-1``, or to ``OUTSIDE``.

    Parameters
    ----------
    index : ndarray of int
        Cell numbers, possibly outside the grid.
    n : int
        Number of cells.
    boundary : {"periodic", "zero", "reflect"}
        ``"reflect"`` is the half-sample symmetric extension ``(d c b a | a b c d | d c b a)``, which
        is the one for cell-centred grids and ``scipy.ndimage``'s ``"reflect"``.

    Returns
    -------
    ndarray of int
        Same shape as `index`.

    Examples
    --------
    >>> fold(np.arange(-2, 6), 4, "reflect").tolist()
    [1, 0, 0, 1, 2, 3, 3, 2]
    >>> fold(np.arange(-2, 6), 4, "zero").tolist()
    [-1, -1, 0, 1, 2, 3, -1, -1]
    """
    if boundary == "periodic":
        return index % n
    if boundary == "zero":
        return np.where((index >= 0) & (index < n), index, OUTSIDE)
    if boundary == "reflect":
        inside = index % (2 * n)
        return np.minimum(inside, 2 * n - 1 - inside)
    raise RefmgError(one_of("boundary", boundary, BOUNDARIES))


@dataclass(frozen=True)
class Geometry:
    """Grid, stencil width, boundary and stride of one convolution.

    Parameters
    ----------
    shape : tuple of int
        Cells of the input grid, ``(n_1, .., n_d)``.
    width : tuple of int
        Taps per axis, each odd.
    boundary : {"periodic", "zero", "reflect"}
        What lies outside the grid.
    stride : tuple of int
        Output cell ``o`` is centred at input cell ``o * stride``.

    Raises
    ------
    RefmgError
        If lengths differ, a width is even, a size is not positive or the boundary is unknown.

    Examples
    --------
    >>> Geometry((4,), (3,)).table.tolist()
    [[3, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 0]]
    >>> Geometry((5, 6), (3, 3), stride=(2, 2)).out_shape
    (3, 3)
    """

    shape: tuple[int, ...]
    width: tuple[int, ...]
    boundary: str = "periodic"
    stride: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Fill the default stride and refuse what is not a convolution."""
        if not self.stride:
            object.__setattr__(self, "stride", (1,) * len(self.shape))
        if not len(self.shape) == len(self.width) == len(self.stride):
            raise RefmgError(
                f"grid {self.shape}, stencil width {self.width} and stride {self.stride} have different "
                "numbers of axes; give one entry per axis of the grid"
            )
        if not self.shape or min(*self.shape, *self.width, *self.stride) < 1:
            raise RefmgError(
                f"found grid {self.shape}, width {self.width}, stride {self.stride}; "
                "expected at least one axis and positive sizes"
            )
        if any(k % 2 == 0 for k in self.width):
            raise RefmgError(
                f"found a stencil of width {self.width}; expected odd widths, so that a tap lies on the "
                "cell itself: pad the stencil with zeros to an odd width"
            )
        if self.boundary not in BOUNDARIES:
            raise RefmgError(one_of("boundary", self.boundary, BOUNDARIES))

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Cells of the output grid, ``ceil(n_i / stride_i)``."""
        return tuple(-(-n // s) for n, s in zip(self.shape, self.stride, strict=True))

    @property
    def cells(self) -> int:
        """Number of input cells."""
        return prod(self.shape)

    @property
    def out_cells(self) -> int:
        """Number of output cells."""
        return prod(self.out_shape)

    @property
    def taps(self) -> int:
        """Number of taps of the stencil."""
        return prod(self.width)

    @property
    def table(self) -> Indices:
        """Cell read by tap ``j`` for output ``o``: array ``(taps, out_cells)``, ``OUTSIDE`` for none."""
        return _gather_table(self)

    @property
    def transpose_table(self) -> tuple[tuple[int, Indices], ...]:
        """Pairs ``(tap, outputs)`` with ``outputs[i]`` an output that reads cell ``i`` through that tap.

        Reflection lets two outputs read one cell through the same tap; such a tap appears twice.
        """
        return _scatter_table(self)


def _axis_table(n: int, width: int, boundary: str, stride: int) -> Indices:
    offsets = np.arange(width)[:, None] - width // 2
    centres = np.arange(0, n, stride)[None, :]
    return fold(centres + offsets, n, boundary)


@kept_by_bytes(TABLES, lambda table: table.nbytes)
def _gather_table(geometry: Geometry) -> Indices:
    table = np.zeros((1, 1), dtype=np.intp)
    axes = zip(geometry.shape, geometry.width, geometry.stride, strict=True)
    for n, width, stride in axes:
        axis = _axis_table(n, width, geometry.boundary, stride)
        outside = (table[:, None, :, None] == OUTSIDE) | (axis[None, :, None, :] == OUTSIDE)
        joined = table[:, None, :, None] * n + axis[None, :, None, :]
        taps, outputs = table.shape[0] * axis.shape[0], table.shape[1] * axis.shape[1]
        table = np.where(outside, OUTSIDE, joined).reshape(taps, outputs)
    table.setflags(write=False)
    return table


@kept_by_bytes(TABLES, lambda pairs: sum(row.nbytes for _, row in pairs))
def _scatter_table(geometry: Geometry) -> tuple[tuple[int, Indices], ...]:
    pairs = []
    for tap, cells in enumerate(geometry.table):
        outputs = np.flatnonzero(cells != OUTSIDE)
        while outputs.size:
            first, where = np.unique(cells[outputs], return_index=True)
            row = np.full(geometry.cells, OUTSIDE, dtype=np.intp)
            row[first] = outputs[where]
            row.setflags(write=False)
            pairs.append((tap, row))
            outputs = np.delete(outputs, where)
    return tuple(pairs)
