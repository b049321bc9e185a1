"""Forward Euler (paper, equation 3): state, tangent and discrete adjoint."""

from __future__ import annotations

from dataclasses import dataclass

from refmg.dynamics import LinearizedLayer, ResidualLayer
from refmg_backends.backend import Array


@dataclass(frozen=True)
class ForwardEuler:
    """The step ``Y_{k+1} = Y_k + dt F(Y_k, theta_k)``.

    Parameters
    ----------
    dt : float
        Step size, ``T / N``.

    Notes
    -----
    Tangent and adjoint are those of the discrete step, not discretisations of the continuous ones, so
    that gradients are exact for the network that is computed.
    """

    dt: float

    def step(self, layer: ResidualLayer, Y: Array) -> Array:
        """Return the next state."""
        return Y + self.dt * layer.apply(Y)

    def linearize(self, layer: ResidualLayer, Y: Array) -> tuple[Array, LinearizedLayer]:
        """Return the next state and what the tangent and adjoint of this step need."""
        value, linear = layer.linearize(Y)
        return Y + self.dt * value, linear

    def tangent(self, linear: LinearizedLayer, direction: ResidualLayer, dY: Array) -> Array:
        """Return the next tangent state, ``dY + dt J (dY, dtheta)``."""
        return dY + self.dt * linear.tangent(dY, direction)

    def adjoint(self, linear: LinearizedLayer, P: Array) -> tuple[Array, Array, Array]:
        """Return the adjoint state before the step, and the gradients of stencil and bias."""
        back, stencil, bias = linear.adjoint(P)
        return P + self.dt * back, self.dt * stencil, self.dt * bias
