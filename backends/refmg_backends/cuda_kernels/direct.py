"""Convolutions and stencil gradients as matrix products whose gathered factor is never stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import ceil
from typing import Any, Protocol, TypeVar

import numpy as np

from refmg_backends.backend import Array
from refmg_backends.cuda_kernels import tiles
from refmg_backends.cuda_kernels.launch import ABSENT, POINTWISE, Kernels, Variant, integers, real, vector_of
from refmg_backends.errors import check_shape
from refmg_backends.geometry import Geometry

T = TypeVar("T")
THREADS, SUMS = 256, 32  # of pointwise.cu; sums of add_parts a block


class Device(Protocol):
    """What the kernels need of a backend."""

    kernels: Kernels

    def asarray(self, x: Any, dtype: str | None = None) -> Array:
        """Move an array to the device."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return memory on the device."""

    def contiguous(self, x: Array) -> Array:
        """Return an array whose numbers lie in order."""

    def keep(self, make: Callable[[], T]) -> Callable[[], T]:
        """Make something now, for work on any stream."""


class Table:
    """Which cell each tap of each output reads, on the device.

    Parameters
    ----------
    device : Device
        Where it is moved, once.
    rows : ndarray of int, shape (pairs, outputs)
        Cell numbers, ``OUTSIDE`` = -1 for none.
    order : ndarray of int, shape (pairs,)
        The tap of each row.
    cells : int
        How many cells there are to read.
    """

    def __init__(self, device: Device, rows: np.ndarray, order: np.ndarray, cells: int) -> None:
        self.pairs, self.outputs, self.cells = *rows.shape, cells
        self._moved = device.keep(lambda: [device.asarray(each, "int32") for each in (rows, order)])

    @property
    def rows(self) -> Array:
        """Cell numbers."""
        return self._moved()[0]

    @property
    def order(self) -> Array:
        """The tap of each row."""
        return self._moved()[1]


def forward_table(device: Device, geometry: Geometry) -> Table:
    """Return the table of a convolution."""
    return Table(device, geometry.table, np.arange(geometry.taps), geometry.cells)


def backward_table(device: Device, geometry: Geometry) -> Table:
    """Return the table of its transpose; reflection makes a tap appear twice."""
    pairs = geometry.transpose_table
    rows = np.array([row for _, row in pairs]).reshape(len(pairs), geometry.cells)
    return Table(device, rows, np.array([tap for tap, _ in pairs]), geometry.out_cells)


class DirectConvolution:
    """``K(s)`` or its transpose, computed from its taps.

    Parameters
    ----------
    device : Device
        Memory and kernels.
    taps : array, shape (C_out, C_in, taps)
        The stencil.
    table : Table
        Forward for ``K``, backward for its transpose.
    transposed : bool
        Whether this is the transpose.
    """

    def __init__(self, device: Device, taps: Array, table: Table, transposed: bool) -> None:
        self.device, self.taps, self.table, self.transposed = (
            device,
            device.contiguous(taps),
            table,
            transposed,
        )
        self.inner, self.channels = taps.shape[:2] if transposed else taps.shape[1::-1]

    @property
    def packed(self) -> Array:
        """The taps as the kernel reads them, ``(pairs * inner, channels)``, padded to whole tiles."""
        return self._packed()

    @cached_property
    def _packed(self) -> Callable[[], Array]:
        return self.device.keep(self._pack)

    def _pack(self) -> Array:
        t, dtype, rows = self.table, self.taps.dtype.name, tiles.tile_rows(self.channels)
        shape = (_whole(t.pairs * self.inner, tiles.DEPTH), _whole(self.channels, rows))
        packed = self.device.empty(shape, dtype)
        sizes = self.channels, self.inner, t.pairs, self.taps.shape[2], self.transposed, *shape
        arguments = self.taps, t.order, *integers(*sizes), packed
        grid = (ceil(packed.size / THREADS),)
        self.device.kernels(Variant("pointwise.cu", dtype, 1), "pack", grid, THREADS, arguments)
        return packed

    def apply(
        self,
        X: Array,
        under: Array | None = None,
        bias: Array | None = None,
        activation: int = 0,
        scale: float = 1.0,
        slope: bool = False,
    ) -> tuple[Array, Array | None]:
        """Return ``under + K X``, or ``under + scale * sigma(K X + bias)`` and the slope of ``sigma``.

        Parameters
        ----------
        X : array, shape (inner, cells, m)
            Features.
        under : array, shape (channels, outputs, m), optional
            What is added to.
        bias : array, shape (channels,), optional
            Needed with an activation.
        activation : int
            The kernels' number; 0 for none.
        scale : float
            Factor of the activation.
        slope : bool
            Whether the slope is wanted.

        Raises
        ------
        RefmgError
            If a shape does not fit.
        """
        t, m, dtype = self.table, X.shape[-1], X.dtype.name
        shape = (self.channels, t.outputs, m)
        check_shape("features", X.shape, (self.inner, t.cells, m))
        X, under = self.device.contiguous(X), self._fitting("base", under, shape)
        bias = self._fitting("bias", bias, shape[:1])
        out, rate = (self.device.empty(shape, dtype) if wanted else None for wanted in (True, slope))
        vector = vector_of(m, *(a for a in (X, under, out, rate) if a is not None))
        tile = tiles.convolution_tile(self.channels, X.dtype.itemsize, vector)
        sizes = self.channels, self.inner, t.pairs, t.cells, t.outputs, m, tiles.log2_examples(m)
        ends = bias, real(dtype, scale), under, out, rate
        arguments = X, self.packed, t.rows, *integers(*sizes), *(ABSENT if a is None else a for a in ends)
        grid = (tiles.convolution_blocks(tile, self.channels, t.outputs, m),)
        memory = tiles.convolution_memory(tile, X.dtype.itemsize)
        variant = Variant("convolve.cu", dtype, vector, tile, activation)
        self.device.kernels(variant, "convolve", grid, tile.threads, arguments, memory)
        return out, rate

    def _fitting(self, what: str, array: Array | None, shape: tuple[int, ...]) -> Array | None:
        if array is None:
            return None
        check_shape(what, array.shape, shape)
        return self.device.contiguous(array)


def stencil_gradient(device: Device, Y: Array, Z: Array, table: Table) -> Array:
    """Return ``G`` of shape ``(C_out, C_in, taps)``, the sums over outputs and examples of ``Z_o (C_j Y)_c``.

    Parameters
    ----------
    device : Device
        Memory and kernels.
    Y : array, shape (C_in, cells, m)
        What the convolution is applied to.
    Z : array, shape (C_out, outputs, m)
        What its result is paired with.
    table : Table
        The forward table.

    Raises
    ------
    RefmgError
        If a shape does not fit.
    """
    (channels, _, m), inner, dtype = Z.shape, Y.shape[0], Y.dtype.name
    check_shape("features Y", Y.shape, (inner, table.cells, m))
    check_shape("features Z", Z.shape, (channels, table.outputs, m))
    Y, Z = device.contiguous(Y), device.contiguous(Z)
    tile, vector, width = tiles.gradient_tile(channels), vector_of(m, Y, Z), table.pairs * inner
    steps = ceil(table.outputs * m / tiles.gradient_depth(Y.dtype.itemsize))
    parts, steps_a_part = tiles.gradient_parts(tile, channels, width, steps)
    made = device.empty((parts, channels, table.pairs, inner), dtype)
    sizes = channels, inner, table.pairs, table.cells, table.outputs, m, steps_a_part
    grid = (ceil(channels / tile.rows) * ceil(width / tile.columns) * parts,)
    memory = tiles.gradient_memory(tile, Y.dtype.itemsize)
    variant = Variant("gradient.cu", dtype, vector, tile)
    device.kernels(
        variant, "gradient", grid, tile.threads, (Z, Y, table.rows, *integers(*sizes), made), memory
    )
    return add_parts(device, made, (channels, inner, table.pairs), inner, table.pairs)


def add_parts(device: Device, parts: Array, shape: tuple[int, ...], inner: int = 1, taps: int = 1) -> Array:
    """Return the sum over the first axis of ``(count, rows, taps, inner)``, as ``(rows, inner, taps)``.

    `shape` is how the result is seen.
    """
    total, dtype = device.empty(shape, parts.dtype.name), parts.dtype
    arguments = parts, *integers(parts.shape[0], total.size, inner, taps), total
    variant = Variant("pointwise.cu", dtype.name, 1, POINTWISE)
    memory = THREADS * dtype.itemsize
    device.kernels(variant, "add_parts", (ceil(total.size / SUMS),), THREADS, arguments, memory)
    return total


def _whole(size: int, unit: int) -> int:
    return ceil(size / unit) * unit
