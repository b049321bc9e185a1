"""Forward Euler (paper, equation 3), of order 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from refmg.dynamics import Layer, LinearizedLayer, ParameterGradient
from refmg.integrators.integrator import START, Integrator, Nodes, scale
from refmg_backends.backend import Array


@dataclass(frozen=True)
class EulerStep:
    """The step ``Y_{k+1} = Y_k + dt F(Y_k, theta_k)``.

    Parameters
    ----------
    dt : float
        Step size, ``T / N``.
    """

    dt: float
    nodes: ClassVar[Nodes] = (START,)

    def step(self, layers: Sequence[Layer], Y: Array) -> Array:
        """Return the next state."""
        return Y + self.dt * layers[0].apply(Y)

    def linearize(self, layers: Sequence[Layer], Y: Array) -> tuple[Array, LinearizedLayer]:
        """Return the next state and the linearised layer."""
        value, linear = layers[0].linearize(Y)
        return Y + self.dt * value, linear

    def tangent(self, linear: LinearizedLayer, directions: Sequence[Layer], dY: Array) -> Array:
        """Return ``dY + dt J (dY, dtheta)``."""
        return dY + self.dt * linear.tangent(dY, directions[0])

    def adjoint(self, linear: LinearizedLayer, P: Array) -> tuple[Array, list[ParameterGradient]]:
        """Return ``P + dt J^T P`` and the parameters' gradient."""
        back, gradient = linear.adjoint(P)
        return P + self.dt * back, [scale(self.dt, gradient)]


class ForwardEuler(Integrator):
    """Forward Euler, the paper's residual network.

    Examples
    --------
    >>> ForwardEuler().schedule(0.5, 2)
    [EulerStep(dt=0.5), EulerStep(dt=0.5)]
    """

    name, order = "euler", 1

    def schedule(self, dt: float, steps: int) -> list[EulerStep]:
        """Return equal steps."""
        return [EulerStep(dt)] * steps
