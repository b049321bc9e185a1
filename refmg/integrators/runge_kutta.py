"""The classical Runge-Kutta method RK4, of order 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from refmg.dynamics import Layer, LinearizedLayer, ParameterGradient
from refmg.integrators.integrator import END, MIDDLE, START, Integrator, Nodes, add
from refmg_backends.backend import Array


@dataclass(frozen=True)
class RungeKuttaStep:
    """The step ``Y + dt/6 (k_1 + 2 k_2 + 2 k_3 + k_4)``.

    Parameters
    ----------
    dt : float
        Step size.

    Notes
    -----
    Kutta (1901); Hairer, Norsett and Wanner, Solving ordinary differential equations I, table II.1.2.
    The adjoint is the transposed tangent, stage by stage (Hager, Numer. Math. 87, 2000).
    """

    dt: float
    nodes: ClassVar[Nodes] = (START, MIDDLE, END)

    def step(self, layers: Sequence[Layer], Y: Array) -> Array:
        """Return the next state."""
        first, middle, last = layers
        k1 = first.apply(Y)
        k2 = middle.apply(Y + self.dt / 2 * k1)
        k3 = middle.apply(Y + self.dt / 2 * k2)
        k4 = last.apply(Y + self.dt * k3)
        return Y + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def linearize(self, layers: Sequence[Layer], Y: Array) -> tuple[Array, list[LinearizedLayer]]:
        """Return the next state and the four linearised stages."""
        first, middle, last = layers
        k1, l1 = first.linearize(Y)
        k2, l2 = middle.linearize(Y + self.dt / 2 * k1)
        k3, l3 = middle.linearize(Y + self.dt / 2 * k2)
        k4, l4 = last.linearize(Y + self.dt * k3)
        return Y + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), [l1, l2, l3, l4]

    def tangent(self, linear: Sequence[LinearizedLayer], directions: Sequence[Layer], dY: Array) -> Array:
        """Return the next tangent state."""
        first, middle, last = directions
        d1 = linear[0].tangent(dY, first)
        d2 = linear[1].tangent(dY + self.dt / 2 * d1, middle)
        d3 = linear[2].tangent(dY + self.dt / 2 * d2, middle)
        d4 = linear[3].tangent(dY + self.dt * d3, last)
        return dY + self.dt / 6 * (d1 + 2 * d2 + 2 * d3 + d4)

    def adjoint(self, linear: Sequence[LinearizedLayer], P: Array) -> tuple[Array, list[ParameterGradient]]:
        """Return the adjoint state before the step, and the gradients at the three nodes."""
        dt = self.dt
        b4, g4 = linear[3].adjoint(dt / 6 * P)
        b3, g3 = linear[2].adjoint(dt / 3 * P + dt * b4)
        b2, g2 = linear[1].adjoint(dt / 3 * P + dt / 2 * b3)
        b1, g1 = linear[0].adjoint(dt / 6 * P + dt / 2 * b2)
        return P + b1 + b2 + b3 + b4, [g1, add(g2, g3), g4]


class RungeKutta4(Integrator):
    """RK4; takes the parameters at both ends and in the middle of each step."""

    name, order = "rk4", 4

    def schedule(self, dt: float, steps: int) -> list[RungeKuttaStep]:
        """Return equal steps."""
        return [RungeKuttaStep(dt)] * steps
