r"""The Hamiltonian pair :math:`(K_1^T \sigma(K_1 z + b_1), -K_2^T \sigma(K_2 y + b_2))`."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from refmg.dynamics.layer import ParameterGradient
from refmg.dynamics.symmetric import LinearizedSymmetric, SymmetricLayer
from refmg_backends.backend import Array


@dataclass(frozen=True)
class HamiltonianLayer:
    r"""The pair on features whose first half of the channels is y, the second half z.

    Parameters
    ----------
    upper : SymmetricLayer
        With sign 1: the rate of y as a function of z.
    lower : SymmetricLayer
        With sign -1: the rate of z as a function of y.

    Notes
    -----
    The rates are :math:`\partial H/\partial z` and :math:`-\partial H/\partial y` of
    :math:`H = \mathbf 1^T \Sigma(K_1 z + b_1) + \mathbf 1^T \Sigma(K_2 y + b_2)` with
    :math:`\Sigma' = \sigma`. Chang, Meng, Haber, Ruthotto, Begert and Holtham, "Reversible
    architectures for arbitrarily deep residual neural networks" (AAAI 2018), equation (9).

    The stencils of both are kept in one array ``(C, C/2, k_1, .., k_d)``, those of `upper` first.
    """

    upper: SymmetricLayer
    lower: SymmetricLayer

    @property
    def xp(self) -> ModuleType:
        """The array namespace."""
        return self.upper.convolution.backend.xp

    def prepare(self) -> None:
        """Assemble the operators."""
        self.upper.prepare()
        self.lower.prepare()

    def apply(self, Y: Array) -> Array:
        """Return the rates of y and z for features of shape ``(C, n_1, .., n_d, m)``."""
        y, z = halves(Y)
        return self.xp.concat([self.upper.apply(z), self.lower.apply(y)])

    def linearize(self, Y: Array) -> tuple[Array, LinearizedHamiltonian]:
        """Return the rates and their derivative."""
        y, z = halves(Y)
        (up, upper), (down, lower) = self.upper.linearize(z), self.lower.linearize(y)
        return self.xp.concat([up, down]), LinearizedHamiltonian(self.xp, upper, lower)


@dataclass(frozen=True)
class LinearizedHamiltonian:
    """The derivative of a Hamiltonian pair, and its adjoint."""

    xp: ModuleType
    upper: LinearizedSymmetric
    lower: LinearizedSymmetric

    def tangent(self, dY: Array, direction: HamiltonianLayer) -> Array:
        """Return the derivative of both rates."""
        dy, dz = halves(dY)
        rates = [self.upper.tangent(dz, direction.upper), self.lower.tangent(dy, direction.lower)]
        return self.xp.concat(rates)

    def adjoint(self, P: Array) -> tuple[Array, ParameterGradient]:
        """Return the adjoint of :meth:`tangent`."""
        p, q = halves(P)
        (back_z, upper), (back_y, lower) = self.upper.adjoint(p), self.lower.adjoint(q)
        return self.xp.concat([back_y, back_z]), join(self.xp, upper, lower)


def halves(Y: Array) -> tuple[Array, Array]:
    """Return the first and the second half of the channels.

    Examples
    --------
    >>> import numpy as np
    >>> halves(np.arange(4))
    (array([0, 1]), array([2, 3]))
    """
    half = Y.shape[0] // 2
    return Y[:half, ...], Y[half:, ...]


def join(xp: ModuleType, upper: ParameterGradient, lower: ParameterGradient) -> ParameterGradient:
    """Return the gradient of the pair from those of its two layers."""
    return xp.concat([upper[0], lower[0]]), xp.concat([upper[1], lower[1]])
