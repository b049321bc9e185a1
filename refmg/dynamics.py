r"""The layer function :math:`F(y, \theta) = \sigma(K(s) y + b)` (paper, equation 2)."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from refmg.activation import Activation
from refmg.convolution import Convolution
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

    @property
    def xp(self) -> ModuleType:
        """The array namespace."""
        return self.convolution.backend.xp

    def affine(self, Y: Array) -> Array:
        """Return ``K(s) Y + b``."""
        ones = (1,) * (len(Y.shape) - 1)
        return self.convolution.apply(Y) + self.xp.reshape(self.bias, (-1, *ones))

    def apply(self, Y: Array) -> Array:
        """Return ``F(Y)`` for features `Y` of shape ``(C, n_1, .., n_d, m)``."""
        return self.activation.value(self.xp, self.affine(Y))

    def linearize(self, Y: Array) -> tuple[Array, LinearizedLayer]:
        """Return ``F(Y)`` and its derivative at `Y`."""
        value, slope = self.activation.with_slope(self.xp, self.affine(Y))
        return value, LinearizedLayer(self, Y, slope)


@dataclass(frozen=True)
class LinearizedLayer:
    """The derivative of a layer function with respect to features and parameters, and its adjoint.

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
        r"""Return :math:`\sigma'(\cdot) (K(s) \dot Y + K(\dot s) Y + \dot b)`.

        Parameters
        ----------
        dY : array, shape (C, n_1, .., n_d, m)
            Direction of the features.
        direction : ResidualLayer
            Direction of the parameters; its activation is not used.
        """
        return self.slope * (self.layer.convolution.apply(dY) + direction.affine(self.Y))

    def adjoint(self, P: Array) -> tuple[Array, Array, Array]:
        """Return the adjoint of :meth:`tangent` applied to `P`: for features, stencil and bias."""
        Q, xp = self.slope * P, self.layer.xp
        convolution = self.layer.convolution
        axes = tuple(range(1, len(P.shape)))
        return convolution.apply_transpose(Q), convolution.stencil_gradient(self.Y, Q), xp.sum(Q, axis=axes)
