"""The pointwise parts of a layer, each in one pass over memory."""

from __future__ import annotations

from math import ceil
from typing import Any

from numpy import int64

from refmg_backends.backend import Array
from refmg_backends.cuda_kernels.direct import THREADS, Device, add_parts
from refmg_backends.cuda_kernels.launch import ABSENT, Variant, real, vector_of
from refmg_backends.errors import check_shape

# Vectors that one thread takes at least before a channel is cut into more blocks, and most blocks of it.
VECTORS, MOST_BLOCKS = 4, 128


def activate(
    device: Device,
    X: Array,
    bias: Array,
    activation: int,
    base: Array | None = None,
    scale: float = 1.0,
    slope: bool = False,
) -> tuple[Array, Array | None]:
    """Return ``base + scale * sigma(X + b)`` for arrays ``(C, cells, m)`` and, with `slope`, the slope."""
    out, rate = (device.empty(X.shape, X.dtype.name) if wanted else None for wanted in (True, slope))
    X, bias, base = _fitting(device, X.shape, X=X, bias=bias, base=base)
    vector, grid, length = division(X, *(a for a in (base, out, rate) if a is not None))
    arguments = X, bias, real(X.dtype.name, scale), _or_absent(base), length, out, _or_absent(rate)
    variant = Variant("pointwise.cu", X.dtype.name, vector, activation=activation)
    device.kernels(variant, "activate", grid, THREADS, arguments)
    return out, rate


def tangent(
    device: Device, slope: Array, X: Array, bias: Array, base: Array | None = None, scale: float = 1.0
) -> Array:
    """Return ``base + scale * slope * (X + b)`` for arrays ``(C, cells, m)``."""
    out = device.empty(X.shape, X.dtype.name)
    slope, X, bias, base = _fitting(device, X.shape, slope=slope, X=X, bias=bias, base=base)
    vector, grid, length = division(X, slope, out, *([] if base is None else [base]))
    arguments = slope, X, bias, real(X.dtype.name, scale), _or_absent(base), length, out
    device.kernels(Variant("pointwise.cu", X.dtype.name, vector), "tangent", grid, THREADS, arguments)
    return out


def cotangent(device: Device, slope: Array, P: Array, scale: float = 1.0) -> tuple[Array, Array]:
    """Return ``Q = scale * slope * P`` for arrays ``(C, cells, m)``, and its sums by channel."""
    Q, dtype = device.empty(P.shape, P.dtype.name), P.dtype
    slope, P = _fitting(device, P.shape, slope=slope, P=P)
    vector, grid, length = division(P, slope, Q)
    parts = device.empty(grid, dtype.name)
    arguments = slope, P, real(dtype.name, scale), length, Q, parts
    variant = Variant("pointwise.cu", dtype.name, vector)
    device.kernels(variant, "cotangent", grid, THREADS, arguments, THREADS * dtype.itemsize)
    return Q, add_parts(device, parts, P.shape[:1])


def _fitting(device: Device, shape: tuple[int, ...], **arrays: Array | None) -> list[Any]:
    """Return the arrays with their numbers in order; refuse those of other shapes."""
    for name, array in arrays.items():
        if array is not None:
            check_shape(name, array.shape, shape[:1] if name == "bias" else shape)
    return [None if array is None else device.contiguous(array) for array in arrays.values()]


def division(X: Array, *others: Array) -> tuple[int, tuple[int, int], Any]:
    """Return numbers a load, the grid of blocks (which the shapes alone decide), numbers a channel."""
    length = X.shape[1] * X.shape[2]
    # As if loads were wide always: the blocks decide the order of the sums.
    blocks = ceil(length * X.dtype.itemsize / (16 * THREADS * VECTORS))
    return vector_of(length, X, *others), (min(blocks, MOST_BLOCKS), X.shape[0]), int64(length)


def _or_absent(array: Array | None) -> Any:
    return ABSENT if array is None else array
