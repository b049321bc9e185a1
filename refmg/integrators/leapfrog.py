r"""Leapfrog for the second-order equation :math:`\ddot y = F(y, \theta)`, of order 2 and reversible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import array_namespace

from refmg.dynamics import Layer, LinearizedLayer, ParameterGradient, halves
from refmg.integrators.integrator import START, Integrator, Nodes
from refmg_backends.backend import Array


@dataclass(frozen=True)
class LeapfrogStep:
    r"""The step ``V' = V + kick F(Y, theta_k)``, ``Y' = Y + dt V'`` on the state ``[Y; V]``.

    Parameters
    ----------
    dt : float
        Step size.
    kick : float
        ``dt``, in the first step ``dt/2``: V is the velocity half a step behind Y.
    """

    dt: float
    kick: float
    nodes: ClassVar[Nodes] = (START,)

    def step(self, layers: Sequence[Layer], S: Array) -> Array:
        """Return the next state."""
        (layer,), (Y, V) = layers, halves(S)
        return self._drift(Y, layer.apply(Y, V, self.kick))

    def linearize(self, layers: Sequence[Layer], S: Array) -> tuple[Array, LinearizedLayer]:
        """Return the next state and the linearised layer."""
        (layer,), (Y, V) = layers, halves(S)
        V, linear = layer.linearize(Y, V, self.kick)
        return self._drift(Y, V), linear

    def tangent(self, linear: LinearizedLayer, directions: Sequence[Layer], dS: Array) -> Array:
        """Return the next tangent state."""
        (direction,), (dY, dV) = directions, halves(dS)
        return self._drift(dY, linear.tangent(dY, direction, dV, self.kick))

    def adjoint(self, linear: LinearizedLayer, P: Array) -> tuple[Array, list[ParameterGradient]]:
        """Return the adjoint state before the step, and the parameters' gradient."""
        p, q = halves(P)
        q = q + self.dt * p
        p, gradient = linear.adjoint(q, p, self.kick)
        return array_namespace(P).concat([p, q]), [gradient]

    def reverse(self, layers: Sequence[Layer], S: Array) -> Array:
        """Return the state before the step."""
        (layer,), (Y, V) = layers, halves(S)
        Y = Y - self.dt * V
        return array_namespace(S).concat([Y, layer.apply(Y, V, -self.kick)])

    def _drift(self, Y: Array, V: Array) -> Array:
        return array_namespace(Y).concat([Y + self.dt * V, V])


class Leapfrog(Integrator):
    r"""Leapfrog, ``Y_{k+1} = 2 Y_k - Y_{k-1} + dt^2 F(Y_k, theta_k)``, from rest.

    Notes
    -----
    Chang et al. (AAAI 2018), equation (13), there with the symmetric layer. The first step is
    ``Y_1 = Y_0 + dt^2/2 F(Y_0)``: starting with ``Y_{-1} = Y_0`` instead, as published code does, gives
    a velocity ``dt/2 F`` at time 0 and order 1. In diffrax's words this is not "leapfrog midpoint",
    which is for first-order equations.

    Examples
    --------
    >>> Leapfrog().schedule(0.5, 2)
    [LeapfrogStep(dt=0.5, kick=0.25), LeapfrogStep(dt=0.5, kick=0.5)]
    """

    name, order, reversible, copies = "leapfrog", 2, True, 2

    def schedule(self, dt: float, steps: int) -> list[LeapfrogStep]:
        """Return a first step with half a kick, then equal ones."""
        return [LeapfrogStep(dt, dt / 2)] + [LeapfrogStep(dt, dt)] * (steps - 1)
