"""Convolutions of the ``numba`` backend: which compiled loop a stencil goes to, and with what arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from refmg_backends.errors import check_shape
from refmg_backends.geometry import Geometry
from refmg_backends.numba_kernels import codes, winograd
from refmg_backends.numba_kernels import convolve as kernels
from refmg_backends.numba_kernels.memory import aligned_empty, whole_vectors
from refmg_backends.numba_kernels.vectors import lanes
from refmg_backends.numpy_backend import SparseConvolution

Real = NDArray[Any]
Loop = Callable[..., None]


def has_kernels(*arrays: Real) -> bool:
    """Return whether the compiled kernels take these arrays; others go to explicit matrices."""
    kinds = {a.dtype.name for a in arrays}
    known = len(kinds) == 1 and kinds <= {"float32", "float64"}
    return known and all(a.size and a.dtype.isnative for a in arrays)


class NumbaConvolution:
    """A convolution that is computed from its taps; its matrix is made only for other types than floats.

    Parameters
    ----------
    stencil : ndarray, shape (C_out, C_in, k_1, .., k_d)
        Taps.
    geometry : Geometry
        Grid, width, boundary and stride.
    """

    def __init__(self, stencil: Real, geometry: Geometry) -> None:
        self.stencil, self.geometry = stencil, geometry
        self.taps = stencil.reshape(*stencil.shape[:2], geometry.taps)

    @cached_property
    def explicit(self) -> SparseConvolution:
        """The matrix: for integers, complex numbers, or mixed precisions."""
        return SparseConvolution(self.stencil, self.geometry)

    def _check(self, X: Real, channels: int, cells: int) -> None:
        check_shape("features", X.shape, (channels, cells, X.shape[-1]))

    def _together(self, X: Real) -> int:
        return kernels.groups_together(self.geometry, X.shape[0], X.dtype.itemsize)

    @cached_property
    def packed(self) -> Real:
        """The taps in the kernel's order."""
        return kernels.pack(self.taps)

    @cached_property
    def packed_transpose(self) -> Real:
        """The taps of the transpose in the kernel's order."""
        return kernels.pack(self.taps.transpose(1, 0, 2))

    @cached_property
    def frequencies(self) -> Real:
        """The stencil as minimal filtering wants it."""
        return winograd.stencil_frequencies(self.stencil)

    @cached_property
    def frequencies_transpose(self) -> Real:
        """The stencil of the transpose: the BLAS multiplies by a transposed matrix more slowly."""
        return winograd.stencil_frequencies(np.ascontiguousarray(winograd.turned_around(self.stencil)))

    def _loop(self, X: Real) -> Loop:
        """Return the compiled loop of ``K X``."""
        if winograd.suits(self.geometry, *self.taps.shape[:2]):
            return self._filtered(X, False)
        rows = kernels.gather_rows(self.geometry)
        return partial(kernels.convolve, X, self.packed, *rows, self._together(X))

    def _loop_transpose(self, X: Real) -> Loop:
        """Return the compiled loop of ``K^T X``."""
        if winograd.suits_transpose(self.geometry, *self.taps.shape[:2]):
            return self._filtered(X, True)
        rows = kernels.scatter_rows(self.geometry)
        return partial(kernels.convolve, X, self.packed_transpose, *rows, self._together(X))

    def _filtered(self, X: Real, turned: bool) -> Loop:
        """Return minimal filtering by the stencil, or turned around: of wide ones by the same numbers."""
        (c_out, c_in), threads = self.taps.shape[:2], numba.get_num_threads()
        wide = winograd.is_wide(c_out, c_in, X.itemsize)
        U = self.frequencies if wide or not turned else self.frequencies_transpose
        return partial(winograd.convolve, X, U, turned and wide, self.geometry, threads)

    def apply(self, Y: Real, add_to: Real | None = None) -> Real:
        """Return ``add_to + K Y``."""
        if not has_kernels(self.taps, Y, *([] if add_to is None else [add_to])):
            return self.explicit.apply(Y, add_to)
        self._check(Y, self.taps.shape[1], self.geometry.cells)
        X = filled(Y)
        return run(self._loop(X), X, (self.taps.shape[0], self.geometry.out_cells, Y.shape[2]), start=add_to)[
            0
        ]

    def apply_transpose(self, Z: Real, add_to: Real | None = None) -> Real:
        """Return ``add_to + K^T Z``."""
        if not has_kernels(self.taps, Z, *([] if add_to is None else [add_to])):
            return self.explicit.apply_transpose(Z, add_to)
        self._check(Z, self.taps.shape[0], self.geometry.out_cells)
        X, shape = filled(Z), (self.taps.shape[1], self.geometry.cells, Z.shape[2])
        return run(self._loop_transpose(X), X, shape, start=add_to)[0]

    def activated(
        self, Y: Real, bias: Real, activation: str, base: Real | None, scale: float, slope: bool
    ) -> tuple[Real, Real | None]:
        """Return ``base + scale * sigma(K Y + b)`` and its slope, while the sums are in the cache."""
        self._check(Y, self.taps.shape[1], self.geometry.cells)
        X, shape = filled(Y), (self.taps.shape[0], self.geometry.out_cells, Y.shape[2])
        code = codes.CODES[activation]
        return run(self._loop(X), X, shape, bias=bias, code=code, base=base, scale=scale, slope=slope)


def filled(X: Real) -> Real:
    """Return features whose examples fill whole vectors."""
    return whole_vectors(X, X.dtype, lanes(X.dtype.itemsize))


def run(
    loop: Loop,
    X: Real,
    shape: tuple[int, int, int],
    start: Real | None = None,
    bias: Real | None = None,
    code: int = codes.IDENTITY,
    base: Real | None = None,
    scale: float = 1.0,
    slope: bool = False,
) -> tuple[Real, Real | None]:
    """Call a compiled loop for results of this shape; see ``numba_kernels.convolve``."""
    dtype, width = X.dtype, lanes(X.dtype.itemsize)
    for what, array, expected in (("add_to", start, shape), ("base", base, shape), ("bias", bias, shape[:1])):
        if array is not None:
            check_shape(what, array.shape, expected)
    out = aligned_empty((*shape[:2], X.shape[2]), dtype)
    rate = aligned_empty(out.shape, dtype) if slope else out
    first, under = (out if a is None else whole_vectors(a, dtype, width) for a in (start, base))
    b = np.zeros(shape[0], dtype) if bias is None else np.array(bias, dtype)
    k, post = codes.constants(dtype.name), bias is not None
    loop(
        width, first, start is not None, out, post, rate, under, b, k,
        dtype.type(scale), base is not None, slope, code,
    )  # fmt: skip
    found = [np.ascontiguousarray(a[..., : shape[2]]) for a in (out, rate)]
    return found[0], found[1] if slope else None
