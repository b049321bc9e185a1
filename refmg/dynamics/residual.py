r"""The residual layer :math:`F(y, \theta) = \sigma(K(s) y + b)` (paper, equation 2)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from refmg.activation import Activation
from refmg.convolution import Convolution
from refmg.dynamics.layer import ParameterGradient
from refmg_backends.backend import Array, Backend


@dataclass(frozen=True)
class ResidualLayer:
    r"""The layer function :math:`F(y) = \sigma(K(s) y + b)` at fixed parameters.

    Parameters
    ----------
    convolution : Convolution
        ``K(s)``, from C to C channels.
    bias : array, shape (C,)
        One number a channel.
    activation : Activation
        The nonlinearity.

    Examples
    --------
    >>> import numpy as np
    >>> from refmg.activation import named_activation
    >>> shift = Convolution([0.0, 1.0, 0.0], (3,), backend="numpy")
    >>> layer = ResidualLayer(shift, np.array([1.0]), named_activation("relu"))
    >>> layer.apply(np.array([[[-2.0], [0.0], [2.0]]])).ravel()
    array([0., 1., 3.])
    """

    convolution: Convolution
    bias: Array
    activation: Activation

    def affine(self, Y: Array) -> Array:
        """Return ``K(s) Y + b``."""
        ones = (1,) * (len(Y.shape) - 1)
        return self.convolution.apply(Y) + self.convolution.backend.xp.reshape(self.bias, (-1, *ones))

    def prepare(self) -> None:
        """Assemble the operator."""
        self.convolution.prepare()

    def apply(self, Y: Array, base: Array | None = None, scale: float = 1.0) -> Array:
        """Return ``base + scale * F(Y)`` for features `Y` of shape ``(C, n_1, .., n_d, m)``."""
        return self.convolution.activated(Y, self.bias, self.activation, base, scale)[0]

    def linearize(
        self, Y: Array, base: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, LinearizedResidual]:
        """Return ``base + scale * F(Y)``, and the derivative of ``F`` at `Y`."""
        value, slope = self.convolution.activated(Y, self.bias, self.activation, base, scale, slope=True)
        return value, LinearizedResidual(self, Y, slope)


@dataclass(frozen=True)
class LinearizedResidual:
    """The derivative of a residual layer, and its adjoint.

    Attributes
    ----------
    layer : ResidualLayer
        Where the parameters are.
    Y : array, shape (C, n_1, .., n_d, m)
        Where the features are.
    slope : array, of the shape of `Y`
        The activation's derivative.
    """

    layer: ResidualLayer
    Y: Array
    slope: Array

    def tangent(
        self, dY: Array, direction: ResidualLayer, base: Array | None = None, scale: float = 1.0
    ) -> Array:
        r"""Return base + scale times :math:`\sigma'(\cdot) (K(s) \dot Y + K(\dot s) Y + \dot b)`."""
        K = self.layer.convolution
        rates = direction.convolution.apply(self.Y, add_to=K.apply(dY))
        return scaled_tangent(K.backend, self.slope, rates, direction.bias, base, scale)

    def adjoint(
        self, P: Array, base: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, ParameterGradient]:
        r"""Return base + :math:`K^T Q`, :math:`Q` = scale :math:`\sigma'(\cdot) P`, and the parameters'."""
        K = self.layer.convolution
        Q, bias = scaled_cotangent(K.backend, self.slope, P, scale)
        return K.apply_transpose(Q, add_to=base), (K.stencil_gradient(self.Y, Q), bias)


def scaled_tangent(
    backend: Backend, slope: Array, X: Array, bias: Array, base: Array | None = None, scale: float = 1.0
) -> Array:
    """Return ``base + scale * slope * (X + b)`` for features ``(C, n_1, .., n_d, m)``."""
    under = None if base is None else _flat(backend, base)
    found = backend.tangent(_flat(backend, slope), _flat(backend, X), bias, under, scale)
    return backend.xp.reshape(found, X.shape)


def scaled_cotangent(backend: Backend, slope: Array, P: Array, scale: float = 1.0) -> tuple[Array, Array]:
    """Return ``Q = scale * slope * P`` for features ``(C, n_1, .., n_d, m)``, and its sums by channel."""
    Q, bias = backend.cotangent(_flat(backend, slope), _flat(backend, P), scale)
    return backend.xp.reshape(Q, P.shape), bias


def _flat(backend: Backend, X: Array) -> Array:
    return backend.xp.reshape(X, (X.shape[0], prod(X.shape[1:-1]), X.shape[-1]))
