"""The reference kernels, written against the array API: one gather and one product a tap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from refmg_backends import descent, normalization, pooling
from refmg_backends.activation import Activation
from refmg_backends.backend import (
    Array,
    ConvolutionKernel,
    FixedFeatures,
    ResidualNetwork,
    ResidualParameters,
)
from refmg_backends.errors import check_operands, check_pair, check_shape, check_step
from refmg_backends.fixed_features import ArrayFeatures
from refmg_backends.geometry import OUTSIDE, Geometry, Indices
from refmg_backends.processors import processors


class TapConvolution:
    r"""Apply :math:`K(s) = \sum_j S_j \otimes C_j` tap by tap, without a matrix.

    Parameters
    ----------
    backend : ArrayBackend
        Gives the namespace and the device.
    stencil : array, shape (C_out, C_in, k_1, .., k_d)
        Taps.
    geometry : Geometry
        Grid, width, boundary and stride.
    """

    def __init__(self, backend: ArrayBackend, stencil: Array, geometry: Geometry) -> None:
        self.backend, self.geometry = backend, geometry
        c_out, c_in = stencil.shape[:2]
        self.taps = backend.xp.reshape(stencil, (c_out, c_in, geometry.taps))
        self._sides = (c_in, geometry.cells), (c_out, geometry.out_cells)

    def apply(self, Y: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + sum_j S_j (C_j Y)``."""
        check_operands(Y, add_to, *self._sides)
        pairs = list(enumerate(self.geometry.table))
        return self._sum(pairs, Y, lambda tap: self.taps[:, :, tap], self.taps.shape[0], add_to)

    def apply_transpose(self, Z: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + sum_j S_j^T (C_j^T Z)``."""
        check_operands(Z, add_to, *self._sides[::-1])
        transpose = self.backend.xp.matrix_transpose
        pairs = self.geometry.transpose_table
        return self._sum(pairs, Z, lambda tap: transpose(self.taps[:, :, tap]), self.taps.shape[1], add_to)

    def _sum(self, pairs: Any, X: Array, matrix: Any, channels: int, add_to: Array | None) -> Array:
        xp = self.backend.xp
        padded, shape = with_zero_cell(xp, X), (channels, len(pairs[0][1]), X.shape[2])
        total = xp.zeros(shape, dtype=X.dtype) if add_to is None else add_to
        for tap, row in pairs:
            total = total + xp.tensordot(matrix(tap), self.backend.gather(padded, row), axes=1)
        return total


def with_zero_cell(xp: ModuleType, X: Array) -> Array:
    """Append a cell of zeros, which index ``OUTSIDE`` = -1 then reads.

    Parameters
    ----------
    xp : module
        Array-API namespace of `X`.
    X : array, shape (channels, cells, m)
        Features.

    Returns
    -------
    array, shape (channels, cells + 1, m)
    """
    return xp.concat([X, xp.zeros((X.shape[0], 1, X.shape[2]), dtype=X.dtype)], axis=1)


def by_channel(xp: ModuleType, bias: Array) -> Array:
    """Return one number a channel as an array that broadcasts over cells and examples."""
    return xp.reshape(bias, (-1, 1, 1))


class ArrayBackend:
    """A backend from any array-API namespace: the reference that faster kernels are tested against.

    Parameters
    ----------
    name : str
        The name in ``REFMG_BACKEND``.
    xp : module
        Array-API namespace.
    device : str
        In words.
    """

    deterministic = True
    tf32 = False
    lanes = 1
    examples = 0

    def __init__(self, name: str, xp: ModuleType, device: str = "cpu") -> None:
        self.name, self.xp, self.device = name, xp, device

    def __repr__(self) -> str:
        return f"<refmg backend {self.name!r} on {self.device}>"

    def asarray(self, x: Any, dtype: str | None = None) -> Array:
        """Return `x` as an array of this backend."""
        return self.xp.asarray(x, dtype=None if dtype is None else getattr(self.xp, dtype))

    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        """Return `x` on the host."""
        return np.asarray(x)

    def synchronize(self) -> None:
        """Wait until everything that was begun is finished; at once, where calls return when done."""

    def release(self) -> None:
        """Give memory that is kept for later back to the system."""

    def threads(self) -> int:
        """Return how many threads of the CPU the kernels may use."""
        return processors()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield `function` of each item, in order; other backends may overlap the calls."""
        return map(function, items)

    def gather(self, padded: Array, row: Indices) -> Array:
        """Return the cells named by `row`, ``OUTSIDE`` reading the appended zero cell."""
        index = np.where(row == OUTSIDE, padded.shape[1] - 1, row)
        return self.xp.take(padded, self.xp.asarray(index), axis=1)

    def convolution(self, stencil: Array, geometry: Geometry) -> Any:
        """Prepare a stencil for application, tap by tap."""
        return TapConvolution(self, stencil, geometry)

    def stencil_gradient(self, Y: Array, Z: Array, geometry: Geometry) -> Array:
        """Return the taps ``G_j = Z (C_j Y)^T``, summed over cells and examples."""
        check_pair(Y, Z, geometry.cells, geometry.out_cells)
        xp, padded = self.xp, with_zero_cell(self.xp, Y)
        columns = Z.shape[1] * Z.shape[2]
        left = xp.reshape(Z, (Z.shape[0], columns))
        taps = [
            left @ xp.matrix_transpose(xp.reshape(self.gather(padded, row), (Y.shape[0], columns)))
            for row in geometry.table
        ]
        return xp.reshape(xp.stack(taps, axis=-1), (Z.shape[0], Y.shape[0], *geometry.width))

    def activated(
        self,
        kernel: ConvolutionKernel,
        Y: Array,
        bias: Array,
        activation: Activation,
        base: Array | None = None,
        scale: float = 1.0,
        slope: bool = False,
    ) -> tuple[Array, Array | None]:
        """Return ``base + scale * sigma(K Y + b)`` and, with `slope`, ``sigma'(K Y + b)``."""
        x = kernel.apply(Y)
        check_step(x.shape, bias, base)
        x = x + by_channel(self.xp, bias)
        value, rate = activation.with_slope(self.xp, x) if slope else (activation.value(self.xp, x), None)
        value = value if scale == 1 else scale * value
        return (value if base is None else base + value), rate

    def tangent(
        self, slope: Array, X: Array, bias: Array, base: Array | None = None, scale: float = 1.0
    ) -> Array:
        """Return ``base + scale * slope * (X + b)``."""
        check_step(X.shape, bias, base, slope)
        rate = slope * (X + by_channel(self.xp, bias))
        rate = rate if scale == 1 else scale * rate
        return rate if base is None else base + rate

    def cotangent(self, slope: Array, P: Array, scale: float = 1.0) -> tuple[Array, Array]:
        """Return ``Q = scale * slope * P`` and its sums by channel."""
        check_shape("slope", slope.shape, P.shape)
        Q = slope * P if scale == 1 else scale * slope * P
        return Q, self.xp.sum(Q, axis=(1, 2))

    def logits(self, W: Array, Y: Array) -> Array:
        """Return ``W^T Y``."""
        check_shape("features", Y.shape, (*W.shape[:1], *Y.shape[1:]))
        return self.xp.matrix_transpose(W) @ Y

    def logits_adjoint(self, W: Array, G: Array) -> Array:
        """Return ``W G``."""
        check_shape("gradient of the logits", G.shape, (*W.shape[1:], *G.shape[1:]))
        return W @ G

    def weight_gradient(self, Y: Array, G: Array) -> Array:
        """Return ``Y G^T``."""
        check_shape("gradient of the logits", G.shape, (*G.shape[:1], *Y.shape[1:]))
        return Y @ self.xp.matrix_transpose(G)

    def fixed_features(self, parts: Iterable[Array], examples: int, classes: int) -> FixedFeatures:
        """Keep features for many products; see :class:`ArrayFeatures`."""
        return ArrayFeatures(self, parts)

    def residual_network(
        self,
        parameters: ResidualParameters,
        activation: Activation,
        scale: float,
        opening_geometry: Geometry,
        geometry: Geometry,
    ) -> ResidualNetwork | None:
        """Return None: one layer after the other."""
        return None

    def moments(self, X: Array) -> tuple[Array, Array]:
        """Return mean and biased variance of each channel."""
        return normalization.moments(self.xp, X)

    def normalized(
        self,
        X: Array,
        mean: Array,
        scale: Array,
        shift: Array,
        base: Array | None = None,
        rectify: bool = False,
    ) -> Array:
        """Return ``base + scale (X - mean) + shift``, rectified on request."""
        return normalization.normalized(self.xp, X, mean, scale, shift, base, rectify)

    def rectified_sums(
        self, P: Array, X: Array, mean: Array, Y: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Return ``Q = P`` where ``Y > 0``, and the sums by channel of Q and of ``Q (X - mean)``."""
        return normalization.rectified_sums(self.xp, P, X, mean, Y)

    def combined(self, Q: Array, X: Array, mean: Array, a: Array, b: Array, c: Array) -> Array:
        """Return ``a Q + b (X - mean) + c``."""
        return normalization.combined(self.xp, Q, X, mean, a, b, c)

    def max_pool(self, Y: Array, geometry: Geometry, choice: bool = False) -> tuple[Array, Array | None]:
        """Return the maxima over windows and, on request, which tap has each."""
        return pooling.max_pool(self, Y, geometry, choice)

    def max_pool_adjoint(self, choice: Array, P: Array, geometry: Geometry) -> Array:
        """Return for each cell the sum of `P` over the outputs that chose it."""
        return pooling.max_pool_adjoint(self, choice, P, geometry)

    def momentum_step(
        self,
        parameters: Sequence[Array],
        gradient: Sequence[Array],
        velocity: Array | None,
        rate: float,
        momentum: float,
        decay: float,
    ) -> tuple[list[Array], Array]:
        """Return ``p - rate v`` and ``v = momentum velocity + gradient + decay p``."""
        return descent.momentum_step(self.xp, parameters, gradient, velocity, rate, momentum, decay)
