"""Forward Euler (paper, equation 3), of order 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from refmg.dynamics import Layer, LinearizedLayer, ParameterGradient
from refmg.integrators.integrator import START, Integrator, Nodes
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
        (layer,) = layers
        return layer.apply(Y, Y, self.dt)

    def linearize(self, layers: Sequence[Layer], Y: Array) -> tuple[Array, LinearizedLayer]:
        """Return the next state and the linearised layer."""
        (layer,) = layers
        return layer.linearize(Y, Y, self.dt)

    def tangent(self, linear: LinearizedLayer, directions: Sequence[Layer], dY: Array) -> Array:
        """Return ``dY + dt J (dY, dtheta)``."""
        (direction,) = directions
        return linear.tangent(dY, direction, dY, self.dt)

    def adjoint(self, linear: LinearizedLayer, P: Array) -> tuple[Array, list[ParameterGradient]]:
        """Return ``P + dt J^T P`` and the parameters' gradient."""
        back, gradient = linear.adjoint(P, P, self.dt)
        return back, [gradient]


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
