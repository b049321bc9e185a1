"""The ``numba`` backend: matrix-free kernels on NumPy arrays, on all processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from refmg_backends.activation import ACTIVATIONS, Activation
from refmg_backends.backend import ConvolutionKernel
from refmg_backends.errors import check_shape
from refmg_backends.geometry import Geometry
from refmg_backends.numba_kernels import classifier, codes, gradient, pointwise
from refmg_backends.numba_kernels import convolve as kernels
from refmg_backends.numba_kernels.memory import LINE, POOL, SMALLEST, aligned_empty, whole_vectors
from refmg_backends.numba_kernels.vectors import lanes
from refmg_backends.numpy_backend import NumpyBackend, SparseConvolution
from refmg_backends.processors import one_blas_thread

Real = NDArray[Any]
# Cells times examples that one part of a stencil gradient sums up, at most 32 parts.
PART, MOST_PARTS = 2048, 32


def has_kernels(*arrays: Real) -> bool:
    """Return whether the compiled kernels take these arrays; others go to explicit matrices."""
    kinds = {a.dtype.name for a in arrays}
    return len(kinds) == 1 and kinds <= {"float32", "float64"} and all(a.size for a in arrays)


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

    def apply(self, Y: Real, add_to: Real | None = None) -> Real:
        """Return ``add_to + K Y``."""
        if not has_kernels(self.taps, Y, *([] if add_to is None else [add_to])):
            return self.explicit.apply(Y, add_to)
        self._check(Y, self.taps.shape[1], self.geometry.cells)
        rows = *kernels.gather_rows(self.geometry), self._together(Y)
        return run(Y, self.packed, rows, self.taps.shape[0], start=add_to)[0]

    def apply_transpose(self, Z: Real, add_to: Real | None = None) -> Real:
        """Return ``add_to + K^T Z``."""
        if not has_kernels(self.taps, Z, *([] if add_to is None else [add_to])):
            return self.explicit.apply_transpose(Z, add_to)
        self._check(Z, self.taps.shape[0], self.geometry.out_cells)
        rows = *kernels.scatter_rows(self.geometry), self._together(Z)
        return run(Z, self.packed_transpose, rows, self.taps.shape[1], start=add_to)[0]

    def activated(
        self, Y: Real, bias: Real, activation: str, base: Real | None, scale: float, slope: bool
    ) -> tuple[Real, Real | None]:
        """Return ``base + scale * sigma(K Y + b)`` and its slope, while the sums are in the cache."""
        self._check(Y, self.taps.shape[1], self.geometry.cells)
        rows = *kernels.gather_rows(self.geometry), self._together(Y)
        code, c_out = codes.CODES[activation], self.taps.shape[0]
        return run(Y, self.packed, rows, c_out, bias=bias, code=code, base=base, scale=scale, slope=slope)


def run(
    X: Real,
    taps: Real,
    rows: tuple[Real, Real, bool, int],
    channels: int,
    start: Real | None = None,
    bias: Real | None = None,
    code: int = codes.IDENTITY,
    base: Real | None = None,
    scale: float = 1.0,
    slope: bool = False,
) -> tuple[Real, Real | None]:
    """Call the compiled convolution on whole vectors of examples; see ``numba_kernels.convolve``."""
    m, dtype, width = X.shape[2], X.dtype, lanes(X.dtype.itemsize)
    shape = (channels, rows[0].shape[0], m)
    for what, array, expected in (("add_to", start, shape), ("base", base, shape), ("bias", bias, shape[:1])):
        if array is not None:
            check_shape(what, array.shape, expected)
    X = whole_vectors(X, dtype, width)
    out = aligned_empty((channels, rows[0].shape[0], X.shape[2]), dtype)
    rate = aligned_empty(out.shape, dtype) if slope else out
    first, under = (out if a is None else whole_vectors(a, dtype, width) for a in (start, base))
    b = np.zeros(channels, dtype) if bias is None else np.array(bias, dtype)
    k, post = codes.constants(dtype.name), bias is not None
    kernels.convolve(
        X, taps, *rows, width, first, start is not None, out, post, rate, under, b, k,
        dtype.type(scale), base is not None, slope, code,
    )  # fmt: skip
    found = [np.ascontiguousarray(a[..., :m]) for a in (out, rate)]
    return found[0], found[1] if slope else None


class NumbaBackend(NumpyBackend):
    """NumPy arrays on the host; convolutions are compiled loops over taps.

    As many threads as ``NUMBA_NUM_THREADS`` says. No result depends on their number: each sum is made
    by one thread, or in blocks of a size that the shapes decide.
    """

    lanes = lanes(4)
    examples = 128  # more outgrow the caches between one layer and the next

    def __init__(self) -> None:
        super().__init__()
        self.name = "numba"

    def convolution(self, stencil: Real, geometry: Geometry) -> Any:
        """Prepare a stencil for application."""
        return NumbaConvolution(stencil, geometry)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield `function` of each item, one after the other: the kernels use all processors themselves.

        BLAS is held to one thread meanwhile: after each product its threads wait for the next one, busy,
        for as long as several of our kernels take.
        """
        with one_blas_thread():
            yield from map(function, items)

    def asarray(self, x: Any, dtype: str | None = None) -> Real:
        """Return `x` as an array; a large one that does not begin on a cache line is copied."""
        array = super().asarray(x, dtype)
        large = array.nbytes >= SMALLEST and array.ndim > 1 and array.dtype.kind == "f"
        if not large or array.ctypes.data % LINE == 0:
            return array
        aligned = aligned_empty(array.shape, array.dtype)
        aligned[...] = array
        return aligned

    def stencil_gradient(self, Y: Real, Z: Real, geometry: Geometry) -> Real:
        """Return the taps ``G_j = Z (C_j Y)^T``."""
        if not has_kernels(Y, Z):
            return super().stencil_gradient(Y, Z, geometry)
        width, dtype, m = lanes(Y.dtype.itemsize), Y.dtype, Y.shape[-1]
        check_shape("features Y", Y.shape, (Y.shape[0], geometry.cells, m))
        check_shape("features Z", Z.shape, (Z.shape[0], geometry.out_cells, m))
        Y, Z = (whole_vectors(a, dtype, width) for a in (Y, Z))
        count = min(MOST_PARTS, 1 << (Z.shape[1] * Z.shape[2] // PART).bit_length())
        parts = np.zeros((count, Z.shape[0], geometry.taps, Y.shape[0]), dtype)
        gradient.stencil_gradient(Y, Z, table(geometry), width, parts)
        G = parts.sum(axis=0).transpose(0, 2, 1)
        return np.ascontiguousarray(G).reshape(Z.shape[0], Y.shape[0], *geometry.width)

    def activated(
        self,
        kernel: ConvolutionKernel,
        Y: Real,
        bias: Real,
        activation: Activation,
        base: Real | None = None,
        scale: float = 1.0,
        slope: bool = False,
    ) -> tuple[Real, Real | None]:
        """Return ``base + scale * sigma(K Y + b)`` and its slope, in one pass over the sums."""
        ours = isinstance(kernel, NumbaConvolution) and activation is ACTIVATIONS.get(activation.name)
        if not ours or not has_kernels(kernel.taps, Y, bias, *([] if base is None else [base])):  # type: ignore[attr-defined]
            return super().activated(kernel, Y, bias, activation, base, scale, slope)
        return kernel.activated(Y, bias, activation.name, base, scale, slope)  # type: ignore[attr-defined]

    def tangent(self, slope: Real, X: Real, bias: Real, base: Real | None = None, scale: float = 1.0) -> Real:
        """Return ``base + scale * slope * (X + b)`` in one pass."""
        if not has_kernels(slope, X, bias, *([] if base is None else [base])):
            return super().tangent(slope, X, bias, base, scale)
        check_shape("slope", slope.shape, X.shape)
        check_shape("bias", bias.shape, X.shape[:1])
        check_shape("base", X.shape if base is None else base.shape, X.shape)
        slope, X, bias = (whole_vectors(a, X.dtype, 1) for a in (slope, X, bias))
        out = aligned_empty(X.shape, X.dtype)
        under = out if base is None else whole_vectors(base, X.dtype, 1)
        flat = [a.reshape(X.shape[0], -1) for a in (slope, X, under, out)]
        pointwise.tangent(flat[0], flat[1], bias, flat[2], base is not None, X.dtype.type(scale), flat[3])
        return out

    def cotangent(self, slope: Real, P: Real, scale: float = 1.0) -> tuple[Real, Real]:
        """Return ``Q = scale * slope * P`` and its sums by channel, in one pass."""
        if not has_kernels(slope, P):
            return super().cotangent(slope, P, scale)
        check_shape("slope", slope.shape, P.shape)
        slope, P = (whole_vectors(a, P.dtype, 1) for a in (slope, P))
        Q = aligned_empty(P.shape, P.dtype)
        sums = np.empty((P.shape[0], pointwise.sum_blocks()), P.dtype)
        pointwise.cotangent(slope, P, P.dtype.type(scale), Q, sums)
        return Q, sums.sum(axis=1)

    def logits(self, W: Real, Y: Real) -> Real:
        """Return ``W^T Y``, in a fixed number of parts."""
        if not has_kernels(W, Y):
            return super().logits(W, Y)
        check_shape("features", Y.shape, (W.shape[0], Y.shape[1]))
        m, width = Y.shape[1], lanes(Y.dtype.itemsize)
        W, Y = (whole_vectors(a, a.dtype, n) for a, n in ((W, 1), (Y, width)))
        parts = np.zeros((classifier.PARTS, W.shape[1], Y.shape[1]), Y.dtype)
        classifier.logits(W, Y, width, parts)
        return parts.sum(axis=0)[:, :m]

    def weight_gradient(self, Y: Real, G: Real) -> Real:
        """Return ``Y G^T``."""
        if not has_kernels(Y, G):
            return super().weight_gradient(Y, G)
        check_shape("gradient of the logits", G.shape, (G.shape[0], Y.shape[1]))
        width = lanes(Y.dtype.itemsize)
        Y, G = (whole_vectors(a, a.dtype, width) for a in (Y, G))
        out = np.zeros((Y.shape[0], G.shape[0]), Y.dtype)
        classifier.weight_gradient(Y, G, width, out)
        return out

    def release(self) -> None:
        """Give memory that is kept for later arrays back to the system."""
        POOL.clear()

    def threads(self) -> int:
        """Return how many threads the kernels use."""
        return int(numba.get_num_threads())


def table(geometry: Geometry) -> NDArray[Any]:
    """Return the geometry's table as the kernels want it: writable, of 64-bit indices."""
    return np.array(kernels.gather_rows(geometry)[0].T, order="C")
