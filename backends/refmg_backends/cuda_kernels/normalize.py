"""Batch normalisation on a GPU, each function one pass over memory; sums in double precision."""

from __future__ import annotations

from typing import Any, Protocol

from numpy import dtype, int32

from refmg_backends.backend import Array
from refmg_backends.cuda_kernels import direct
from refmg_backends.cuda_kernels.direct import THREADS
from refmg_backends.cuda_kernels.launch import ABSENT, Variant
from refmg_backends.cuda_kernels.pointwise import division
from refmg_backends.errors import check_shape
from refmg_backends.normalization import check_channels

SHARED = 2 * THREADS * dtype("float64").itemsize  # bytes of a block's sums


class Device(direct.Device, Protocol):
    """What these kernels need of a backend besides."""

    xp: Any


def moments(device: Device, X: Array) -> tuple[Array, Array]:
    """Return mean and biased variance of each channel of ``(C, cells, m)``."""
    X, xp = device.contiguous(X), device.xp
    vector, grid, length = division(X)
    parts = device.empty((grid[0], 2, grid[1]), "float64")
    device.kernels(_variant(X, vector), "moment_sums", grid, THREADS, (X, length, parts), SHARED)
    sums = xp.sum(parts, axis=0) / int(length)
    mean = xp.astype(X[:, 0, 0], sums.dtype) + sums[0, :]
    variance = sums[1, :] - sums[0, :] * sums[0, :]
    # Rounding may not make a variance negative.
    variance = xp.where(variance < 0, xp.zeros_like(variance), variance)
    return xp.astype(mean, X.dtype), xp.astype(variance, X.dtype)


def normalized(
    device: Device, X: Array, mean: Array, scale: Array, shift: Array, base: Array | None, rectify: bool
) -> Array:
    """Return ``base + scale (X - mean) + shift``, rectified on request."""
    check_channels(X, mean=mean, scale=scale, shift=shift)
    if base is not None:
        check_shape("base", base.shape, X.shape)
        base = device.contiguous(base)
    out = device.empty(X.shape, X.dtype.name)
    X, mean, scale, shift = (device.contiguous(a) for a in (X, mean, scale, shift))
    vector, grid, length = division(X, out, *([] if base is None else [base]))
    under = ABSENT if base is None else base
    arguments = X, mean, scale, shift, under, int32(rectify), length, out
    device.kernels(_variant(X, vector), "normalize", grid, THREADS, arguments)
    return out


def rectified_sums(
    device: Device, P: Array, X: Array, mean: Array, Y: Array | None
) -> tuple[Array, Array, Array]:
    """Return ``Q = P`` where ``Y > 0``, and the sums by channel of Q and of ``Q (X - mean)``."""
    check_channels(X, mean=mean)
    check_shape("cotangent", P.shape, X.shape)
    P, X, mean = (device.contiguous(a) for a in (P, X, mean))
    Q, output, others = P, ABSENT, [P]
    if Y is not None:
        check_shape("output", Y.shape, X.shape)
        Q, output = device.empty(P.shape, P.dtype.name), device.contiguous(Y)
        others = [P, Q, output]
    vector, grid, length = division(X, *others)
    parts = device.empty((grid[0], 2, grid[1]), "float64")
    written = ABSENT if Y is None else Q
    arguments = P, X, mean, output, length, written, parts
    device.kernels(_variant(X, vector), "rectified_sums", grid, THREADS, arguments, SHARED)
    sums = device.xp.astype(device.xp.sum(parts, axis=0), X.dtype)
    return Q, sums[0, :], sums[1, :]


def combined(device: Device, Q: Array, X: Array, mean: Array, a: Array, b: Array, c: Array) -> Array:
    """Return ``a Q + b (X - mean) + c``."""
    check_channels(X, mean=mean, a=a, b=b, c=c)
    check_shape("cotangent", Q.shape, X.shape)
    out = device.empty(X.shape, X.dtype.name)
    Q, X, mean, a, b, c = (device.contiguous(array) for array in (Q, X, mean, a, b, c))
    vector, grid, length = division(X, Q, out)
    device.kernels(_variant(X, vector), "combine", grid, THREADS, (Q, X, mean, a, b, c, length, out))
    return out


def _variant(X: Array, vector: int) -> Variant:
    return Variant("normalize.cu", X.dtype.name, vector)
