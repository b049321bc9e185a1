r"""The symmetric (parabolic) layer :math:`F(y, \theta) = -K(s)^T \sigma(K(s) y + b)`."""

from __future__ import annotations

from dataclasses import dataclass

from refmg.activation import Activation
from refmg.convolution import Convolution
from refmg.dynamics.layer import ParameterGradient
from refmg.dynamics.residual import ResidualLayer, scaled_cotangent, scaled_tangent
from refmg_backends.backend import Array


@dataclass(frozen=True)
class SymmetricLayer:
    r"""The layer function :math:`F(y) = \mp K(s)^T \sigma(K(s) y + b)` at fixed parameters.

    Parameters
    ----------
    convolution : Convolution
        ``K(s)``, from C to C channels.
    bias : array, shape (C,)
        One number a channel.
    activation : Activation
        The nonlinearity; monotone, else the Jacobian may have positive eigenvalues.
    sign : {-1.0, 1.0}
        -1 gives the parabolic layer, whose Jacobian :math:`-K^T \mathrm{diag}(\sigma') K` is symmetric
        and negative semidefinite; both signs serve in the Hamiltonian pair.

    Notes
    -----
    Ruthotto and Haber, "Deep neural networks motivated by partial differential equations" (2020),
    equation (9).

    Examples
    --------
    >>> import numpy as np
    >>> from refmg.activation import named_activation
    >>> difference = Convolution([0.0, -1.0, 1.0], (4,), backend="numpy")
    >>> layer = SymmetricLayer(difference, np.array([0.0]), named_activation("identity"))
    >>> layer.apply(np.array([[[0.0], [1.0], [0.0], [4.0]]])).ravel()
    array([ 5., -2.,  5., -8.])
    """

    convolution: Convolution
    bias: Array
    activation: Activation
    sign: float = -1.0

    @property
    def inner(self) -> ResidualLayer:
        r"""The inner function :math:`\sigma(K y + b)`."""
        return ResidualLayer(self.convolution, self.bias, self.activation)

    def prepare(self) -> None:
        """Assemble the operator."""
        self.convolution.prepare()

    def apply(self, Y: Array, base: Array | None = None, scale: float = 1.0) -> Array:
        """Return ``base + scale * F(Y)`` for features `Y` of shape ``(C, n_1, .., n_d, m)``."""
        inner = self.inner.apply(Y, scale=self.sign * scale)
        return self.convolution.apply_transpose(inner, add_to=base)

    def linearize(
        self, Y: Array, base: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, LinearizedSymmetric]:
        """Return ``base + scale * F(Y)``, and the derivative of ``F`` at `Y`."""
        value, slope = self.convolution.activated(Y, self.bias, self.activation, slope=True)
        rate = self.convolution.apply_transpose(self.sign * scale * value, add_to=base)
        return rate, LinearizedSymmetric(self, Y, value, slope)


@dataclass(frozen=True)
class LinearizedSymmetric:
    """The derivative of a symmetric layer, and its adjoint.

    Attributes
    ----------
    layer : SymmetricLayer
        Where the parameters are.
    Y : array, shape (C, n_1, .., n_d, m)
        Where the features are.
    value, slope : array, of the shape of `Y`
        The activation and its derivative at ``K Y + b``.
    """

    layer: SymmetricLayer
    Y: Array
    value: Array
    slope: Array

    def tangent(
        self, dY: Array, direction: SymmetricLayer, base: Array | None = None, scale: float = 1.0
    ) -> Array:
        r"""Return :math:`\mp K^T \sigma' (K \dot Y + \dot K Y + \dot b) \mp \dot K^T \sigma`, scaled."""
        K, dK, sign = self.layer.convolution, direction.convolution, self.layer.sign * scale
        rates = dK.apply(self.Y, add_to=K.apply(dY))
        inner = scaled_tangent(K.backend, self.slope, rates, direction.bias, scale=sign)
        return dK.apply_transpose(sign * self.value, add_to=K.apply_transpose(inner, add_to=base))

    def adjoint(
        self, P: Array, base: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, ParameterGradient]:
        r"""Return :math:`K^T Q` with :math:`Q = \mp \sigma' K P`, scaled, and the parameters' adjoint."""
        K, sign = self.layer.convolution, self.layer.sign * scale
        Q, bias = scaled_cotangent(K.backend, self.slope, K.apply(P), sign)
        stencil = K.stencil_gradient(self.Y, Q) + K.stencil_gradient(P, sign * self.value)
        return K.apply_transpose(Q, add_to=base), (stencil, bias)
