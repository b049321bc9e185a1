"""Convolutions as products of large matrices: what suits libraries whose matrix product is fast.

All taps of a block of output cells are gathered into one matrix ``(C_in * taps, cells * m)``, which one
product with the stencil ``(C_out, C_in * taps)`` reduces. Index tables are moved to the device once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, TypeVar

import numpy as np

from refmg_backends.array_backend import ArrayBackend, with_zero_cell
from refmg_backends.backend import Array
from refmg_backends.geometry import OUTSIDE, Geometry

T = TypeVar("T")
GATHERED = 1 << 28  # bytes of gathered features at a time


class Gather:
    """Index tables of one geometry on the device, in blocks of output cells.

    Parameters
    ----------
    backend : GemmBackend
        Where the tables live.
    rows : ndarray, shape (taps, outputs)
        Cell that each tap of each output reads, ``OUTSIDE`` for none.
    cells : int
        Number of cells that are read from.
    """

    def __init__(self, backend: GemmBackend, rows: np.ndarray[Any, Any], cells: int) -> None:
        self.backend, self.taps, self.outputs = backend, rows.shape[0], rows.shape[1]
        self.outside = bool((rows == OUTSIDE).any())
        self._rows = np.where(rows == OUTSIDE, cells, rows)
        self._blocks: dict[int, Callable[[], list[tuple[slice, Array]]]] = {}

    def blocks(self, column: int) -> list[tuple[slice, Array]]:
        """Return ranges of outputs with their flat table, for `column` bytes an output and tap."""
        size = max(1, min(self.outputs, GATHERED // max(1, column * self.taps)))
        if size not in self._blocks:
            ranges = [slice(i, min(i + size, self.outputs)) for i in range(0, self.outputs, size)]
            asarray = self.backend.xp.asarray
            # A list of integers, because a library may refuse arrays of another one.
            self._blocks[size] = self.backend.keep(
                lambda: [(part, asarray(self._rows[:, part].ravel().tolist())) for part in ranges]
            )
        return self._blocks[size]()

    def columns(self, X: Array) -> Iterator[tuple[slice, Array]]:
        """Yield ranges of outputs with what they read, ``(C * taps, outputs * m)``."""
        xp, (channels, _, m) = self.backend.xp, X.shape
        padded = with_zero_cell(xp, X) if self.outside else X
        for part, index in self.blocks(channels * m * X.dtype.itemsize):
            taken = xp.take(padded, index, axis=1)
            yield part, xp.reshape(taken, (channels * self.taps, (part.stop - part.start) * m))


class GemmConvolution:
    """A convolution by one matrix product for each block of cells.

    Parameters
    ----------
    backend : GemmBackend
        Gives the namespace and the tables.
    stencil : array, shape (C_out, C_in, k_1, .., k_d)
        Taps.
    geometry : Geometry
        Grid, width, boundary and stride.
    """

    def __init__(self, backend: GemmBackend, stencil: Array, geometry: Geometry) -> None:
        self.backend, self.geometry, (c_out, c_in) = backend, geometry, stencil.shape[:2]
        self.taps = backend.xp.reshape(stencil, (c_out, c_in, geometry.taps))

    def apply(self, Y: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + K Y``."""
        c_out, c_in, taps = self.taps.shape
        matrix = self.backend.xp.reshape(self.taps, (c_out, c_in * taps))
        return self._product(matrix, self.backend.forward(self.geometry), Y, add_to)

    def apply_transpose(self, Z: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + K^T Z``."""
        xp, (c_out, c_in, _) = self.backend.xp, self.taps.shape
        gather, order = self.backend.backward(self.geometry)
        by_input = xp.take(xp.permute_dims(self.taps, (1, 0, 2)), order, axis=2)
        matrix = xp.reshape(by_input, (c_in, c_out * gather.taps))
        return self._product(matrix, gather, Z, add_to)

    def _product(self, matrix: Array, gather: Gather, X: Array, add_to: Array | None) -> Array:
        xp, m = self.backend.xp, X.shape[2]
        parts = [
            xp.reshape(matrix @ columns, (matrix.shape[0], part.stop - part.start, m))
            for part, columns in gather.columns(X)
        ]
        product = parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)
        return product if add_to is None else add_to + product


class GemmBackend(ArrayBackend):
    """A backend whose convolutions and stencil gradients are products of large matrices."""

    def __init__(self, name: str, xp: Any, device: str = "cpu") -> None:
        super().__init__(name, xp, device)
        self._forward: dict[Geometry, Gather] = {}
        self._backward: dict[Geometry, tuple[Gather, Callable[[], Array]]] = {}

    def keep(self, make: Callable[[], T]) -> Callable[[], T]:
        """Make something on the device now; return what gives it, to whatever work asks for it later."""
        made = make()
        return lambda: made

    def forget_tables(self) -> None:
        """Give up the tables of all geometries."""
        self._forward.clear()
        self._backward.clear()

    def release(self) -> None:
        """Give the tables back."""
        self.forget_tables()

    def forward(self, geometry: Geometry) -> Gather:
        """Return the tables of a convolution, moved once."""
        if geometry not in self._forward:
            self._forward[geometry] = Gather(self, geometry.table, geometry.cells)
        return self._forward[geometry]

    def backward(self, geometry: Geometry) -> tuple[Gather, Array]:
        """Return the tables of a transpose, and the tap of each."""
        if geometry not in self._backward:
            pairs = geometry.transpose_table
            rows = np.array([row for _, row in pairs]).reshape(len(pairs), geometry.cells)
            order = self.keep(lambda: self.xp.asarray([tap for tap, _ in pairs]))
            self._backward[geometry] = Gather(self, rows, geometry.out_cells), order
        gather, order = self._backward[geometry]
        return gather, order()

    def convolution(self, stencil: Array, geometry: Geometry) -> Any:
        """Prepare a stencil for application."""
        return GemmConvolution(self, stencil, geometry)

    def stencil_gradient(self, Y: Array, Z: Array, geometry: Geometry) -> Array:
        """Return the taps ``G_j = Z (C_j Y)^T``, a block of cells at a time."""
        xp, gather, total = self.xp, self.forward(geometry), None
        for part, columns in gather.columns(Y):
            left = Z[:, part, :] if len(gather.blocks(prod((*Y.shape[::2], Y.dtype.itemsize)))) > 1 else Z
            left = xp.reshape(left, (Z.shape[0], columns.shape[1]))
            product = left @ xp.matrix_transpose(columns)
            total = product if total is None else total + product
        return xp.reshape(total, (Z.shape[0], Y.shape[0], *geometry.width))
