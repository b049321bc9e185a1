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

    def apply(self, Y: Array, base: Array | None = None, scale: float = 1.0) -> Array:
        """Return base + scale times the rates, for features of shape ``(C, n_1, .., n_d, m)``."""
        (y, z), (over, under) = halves(Y), both(base)
        return self.xp.concat([self.upper.apply(z, over, scale), self.lower.apply(y, under, scale)])

    def linearize(
        self, Y: Array, base: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, LinearizedHamiltonian]:
        """Return base + scale times the rates, and the derivative of the rates."""
        (y, z), (over, under) = halves(Y), both(base)
        up, upper = self.upper.linearize(z, over, scale)
        down, lower = self.lower.linearize(y, under, scale)
        return self.xp.concat([up, down]), LinearizedHamiltonian(self.xp, upper, lower)


@dataclass(frozen=True)
class LinearizedHamiltonian:
    """The derivative of a Hamiltonian pair, and its adjoint."""

    xp: ModuleType
    upper: LinearizedSymmetric
    lower: LinearizedSymmetric

    def tangent(
        self, dY: Array, direction: HamiltonianLayer, base: Array | None = None, scale: float = 1.0
    ) -> Array:
        """Return base + scale times the derivative of both rates."""
        (dy, dz), (over, under) = halves(dY), both(base)
        up = self.upper.tangent(dz, direction.upper, over, scale)
        return self.xp.concat([up, self.lower.tangent(dy, direction.lower, under, scale)])

    def adjoint(
        self, P: Array, base: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, ParameterGradient]:
        """Return base + the adjoint of :meth:`tangent` applied to ``scale * P``."""
        (p, q), (over, under) = halves(P), both(base)
        back_z, upper = self.upper.adjoint(p, under, scale)
        back_y, lower = self.lower.adjoint(q, over, scale)
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


def both(base: Array | None) -> tuple[Array | None, Array | None]:
    """Return the halves of an array, or of nothing."""
    return (None, None) if base is None else halves(base)


def join(xp: ModuleType, upper: ParameterGradient, lower: ParameterGradient) -> ParameterGradient:
    """Return the gradient of the pair from those of its two layers."""
    return xp.concat([upper[0], lower[0]]), xp.concat([upper[1], lower[1]])
