"""The ``numba`` backend: matrix-free kernels on NumPy arrays, on all processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from math import prod
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from refmg_backends import numba_descent, numba_normalization, numba_pooling
from refmg_backends.activation import ACTIVATIONS, Activation
from refmg_backends.backend import ConvolutionKernel, FixedFeatures, ResidualNetwork, ResidualParameters
from refmg_backends.errors import RefmgError, check_shape
from refmg_backends.geometry import Geometry
from refmg_backends.numba_convolution import NumbaConvolution, has_kernels
from refmg_backends.numba_features import MOST_CLASSES, NumbaFeatures
from refmg_backends.numba_kernels import classifier, gradient, pointwise, winograd
from refmg_backends.numba_kernels.memory import LINE, POOL, SMALLEST, aligned_empty, whole_vectors
from refmg_backends.numba_kernels.vectors import lanes
from refmg_backends.numba_network import NumbaNetwork, suits, table
from refmg_backends.numpy_backend import NumpyBackend
from refmg_backends.processors import one_blas_thread

Real = NDArray[Any]
# Cells times examples that one task of a stencil gradient sums up, at most 32 tasks.
PART, MOST_PARTS = 2048, 32


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
        if winograd.suits(geometry, len(Z), len(Y)):
            return winograd.stencil_gradient(Y, Z, geometry, width, numba.get_num_threads())
        wanted = min(MOST_PARTS, 1 << (Z.shape[1] * Z.shape[2] // PART).bit_length())
        shape = Z.shape[0], geometry.taps, Y.shape[0]
        count, blocks = gradient.division(len(Z), prod(shape) * dtype.itemsize, wanted)
        parts = np.zeros((count, *shape), dtype)
        gradient.stencil_gradient(Y, Z, table(geometry), width, blocks, parts)
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

    def logits_adjoint(self, W: Real, G: Real) -> Real:
        """Return ``W G``."""
        if not has_kernels(W, G):
            return super().logits_adjoint(W, G)
        check_shape("gradient of the logits", G.shape, (W.shape[1], G.shape[1]))
        W, G = (whole_vectors(a, a.dtype, 1) for a in (W, G))
        out = aligned_empty((W.shape[0], G.shape[1]), G.dtype)
        classifier.logits_adjoint(W, G, out)
        return out

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

    def fixed_features(self, parts: Iterable[Real], examples: int, classes: int) -> FixedFeatures:
        """Pack features into blocks that stay in a cache between two products."""
        every = iter(parts)
        first = next(every, None)
        if first is None:
            raise RefmgError("found no features; expected one part of the examples or more")
        if not has_kernels(first) or classes > MOST_CLASSES:
            return super().fixed_features(chain([first], every), examples, classes)
        return NumbaFeatures(chain([first], every), (first.shape[0], examples, classes), first.dtype)

    def residual_network(
        self,
        parameters: ResidualParameters,
        activation: Activation,
        scale: float,
        opening_geometry: Geometry,
        geometry: Geometry,
    ) -> ResidualNetwork | None:
        """Take blocks of examples through all layers, unless channels are many."""
        known = activation is ACTIVATIONS.get(activation.name)
        arrays = parameters.opening, parameters.stencils, parameters.biases
        if not known or not has_kernels(*arrays) or not suits(parameters, geometry, opening_geometry):
            return None
        return NumbaNetwork(parameters, activation.name, scale, opening_geometry, geometry)

    def release(self) -> None:
        """Give memory that is kept for later arrays back to the system."""
        POOL.clear()

    def threads(self) -> int:
        """Return how many threads the kernels use."""
        return int(numba.get_num_threads())

    def moments(self, X: Real) -> tuple[Real, Real]:
        """Return mean and biased variance of each channel."""
        if not has_kernels(X):
            return super().moments(X)
        return numba_normalization.moments(X)

    def normalized(
        self,
        X: Real,
        mean: Real,
        scale: Real,
        shift: Real,
        base: Real | None = None,
        rectify: bool = False,
    ) -> Real:
        """Return ``base + scale (X - mean) + shift``, rectified on request."""
        if not has_kernels(X, mean, scale, shift, *([] if base is None else [base])):
            return super().normalized(X, mean, scale, shift, base, rectify)
        return numba_normalization.normalized(X, mean, scale, shift, base, rectify)

    def rectified_sums(self, P: Real, X: Real, mean: Real, Y: Real | None = None) -> tuple[Real, Real, Real]:
        """Return ``Q = P`` where ``Y > 0``, and the sums by channel of Q and of ``Q (X - mean)``."""
        if not has_kernels(P, X, mean, *([] if Y is None else [Y])):
            return super().rectified_sums(P, X, mean, Y)
        return numba_normalization.rectified_sums(P, X, mean, Y)

    def combined(self, Q: Real, X: Real, mean: Real, a: Real, b: Real, c: Real) -> Real:
        """Return ``a Q + b (X - mean) + c``."""
        if not has_kernels(Q, X, mean, a, b, c):
            return super().combined(Q, X, mean, a, b, c)
        return numba_normalization.combined(Q, X, mean, a, b, c)

    def max_pool(self, Y: Real, geometry: Geometry, choice: bool = False) -> tuple[Real, Real | None]:
        """Return the maxima over windows and, on request, which tap has each."""
        if not has_kernels(Y):
            return super().max_pool(Y, geometry, choice)
        return numba_pooling.max_pool(Y, geometry, choice)

    def max_pool_adjoint(self, choice: Real, P: Real, geometry: Geometry) -> Real:
        """Return for each cell the sum of `P` over the outputs that chose it."""
        if not has_kernels(P):
            return super().max_pool_adjoint(choice, P, geometry)
        return numba_pooling.max_pool_adjoint(choice, P, geometry)

    def momentum_step(
        self,
        parameters: Sequence[Real],
        gradient: Sequence[Real],
        velocity: Real | None,
        rate: float,
        momentum: float,
        decay: float,
    ) -> tuple[list[Real], Real]:
        """Return ``p - rate v`` and ``v = momentum velocity + gradient + decay p``."""
        arrays = *parameters, *gradient, *([] if velocity is None else [velocity])
        if sum(p.size for p in parameters) < numba_descent.MANY or not has_kernels(*arrays):
            return super().momentum_step(parameters, gradient, velocity, rate, momentum, decay)
        return numba_descent.momentum_step(parameters, gradient, velocity, rate, momentum, decay)
