r"""The residual layer :math:`F(y, \theta) = \sigma(K(s) y + b)` (paper, equation 2)."""

from __future__ import annotations

from dataclasses import dataclass

from refmg.activation import Activation
from refmg.convolution import Convolution
from refmg.dynamics.layer import ParameterGradient
from refmg_backends.backend import Array


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

    def apply(self, Y: Array) -> Array:
        """Return ``F(Y)`` for features `Y` of shape ``(C, n_1, .., n_d, m)``."""
        return self.activation.value(self.convolution.backend.xp, self.affine(Y))

    def linearize(self, Y: Array) -> tuple[Array, LinearizedResidual]:
        """Return ``F(Y)`` and its derivative at `Y`."""
        value, slope = self.activation.with_slope(self.convolution.backend.xp, self.affine(Y))
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

    def tangent(self, dY: Array, direction: ResidualLayer) -> Array:
        r"""Return :math:`\sigma'(\cdot) (K(s) \dot Y + K(\dot s) Y + \dot b)`."""
        return self.slope * (self.layer.convolution.apply(dY) + direction.affine(self.Y))

    def adjoint(self, P: Array) -> tuple[Array, ParameterGradient]:
        r"""Return :math:`K^T Q` with :math:`Q = \sigma'(\cdot) P`, and the parameters' adjoint."""
        Q, convolution = self.slope * P, self.layer.convolution
        bias = convolution.backend.xp.sum(Q, axis=tuple(range(1, len(P.shape))))
        return convolution.apply_transpose(Q), (convolution.stencil_gradient(self.Y, Q), bias)
