r"""The symmetric (parabolic) layer :math:`F(y, \theta) = -K(s)^T \sigma(K(s) y + b)`."""

from __future__ import annotations

from dataclasses import dataclass

from refmg.activation import Activation
from refmg.convolution import Convolution
from refmg.dynamics.layer import ParameterGradient
from refmg.dynamics.residual import ResidualLayer
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

    def apply(self, Y: Array) -> Array:
        """Return ``F(Y)`` for features `Y` of shape ``(C, n_1, .., n_d, m)``."""
        return self.sign * self.convolution.apply_transpose(self.inner.apply(Y))

    def linearize(self, Y: Array) -> tuple[Array, LinearizedSymmetric]:
        """Return ``F(Y)`` and its derivative at `Y`."""
        xp = self.convolution.backend.xp
        value, slope = self.activation.with_slope(xp, self.inner.affine(Y))
        return self.sign * self.convolution.apply_transpose(value), LinearizedSymmetric(self, Y, value, slope)


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

    def tangent(self, dY: Array, direction: SymmetricLayer) -> Array:
        r"""Return :math:`\mp K^T \sigma' (K \dot Y + \dot K Y + \dot b) \mp \dot K^T \sigma`."""
        K, dK = self.layer.convolution, direction.convolution
        inner = self.slope * (K.apply(dY) + direction.inner.affine(self.Y))
        return self.layer.sign * (K.apply_transpose(inner) + dK.apply_transpose(self.value))

    def adjoint(self, P: Array) -> tuple[Array, ParameterGradient]:
        r"""Return :math:`K^T Q` with :math:`Q = \mp \sigma' K P`, and the parameters' adjoint."""
        K, sign = self.layer.convolution, self.layer.sign
        Q = sign * self.slope * K.apply(P)
        stencil = K.stencil_gradient(self.Y, Q) + K.stencil_gradient(P, sign * self.value)
        return K.apply_transpose(Q), (stencil, K.backend.xp.sum(Q, axis=tuple(range(1, len(P.shape)))))
