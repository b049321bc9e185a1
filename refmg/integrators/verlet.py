"""Verlet's method for the Hamiltonian pair, of order 2, symplectic and reversible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from array_api_compat import array_namespace

from refmg.dynamics import HamiltonianLayer, ParameterGradient, halves
from refmg.dynamics.hamiltonian import join
from refmg.integrators.integrator import END, MIDDLE, START, Integrator, Nodes
from refmg_backends.backend import Array


@dataclass(frozen=True)
class VerletStep:
    """The step ``z += kick f(y)``, ``y += dt g(z)``, ``z += last f(y)`` with rates ``f`` of z and ``g`` of y.

    Parameters
    ----------
    dt : float
        Step size.
    kick : float
        ``dt``, in the first step ``dt/2``: between steps z is half a step behind y.
    last : float
        0, in the last step ``dt/2``: there z catches up.
    """

    dt: float
    kick: float
    last: float
    nodes: ClassVar[Nodes] = (START, MIDDLE, END)

    def step(self, layers: Sequence[HamiltonianLayer], S: Array) -> Array:
        """Return the next state."""
        y, z = halves(S)
        z = layers[0].lower.apply(y, z, self.kick)
        y = layers[1].upper.apply(z, y, self.dt)
        z = layers[2].lower.apply(y, z, self.last) if self.last else z
        return array_namespace(S).concat([y, z])

    def linearize(self, layers: Sequence[HamiltonianLayer], S: Array) -> tuple[Array, list[Any]]:
        """Return the next state and the linearised half layers."""
        y, z = halves(S)
        z, first = layers[0].lower.linearize(y, z, self.kick)
        y, middle = layers[1].upper.linearize(z, y, self.dt)
        linear = [first, middle]
        if self.last:
            z, end = layers[2].lower.linearize(y, z, self.last)
            linear = [first, middle, end]
        return array_namespace(S).concat([y, z]), linear

    def tangent(self, linear: Sequence[Any], directions: Sequence[HamiltonianLayer], dS: Array) -> Array:
        """Return the next tangent state."""
        dy, dz = halves(dS)
        dz = linear[0].tangent(dy, directions[0].lower, dz, self.kick)
        dy = linear[1].tangent(dz, directions[1].upper, dy, self.dt)
        dz = linear[2].tangent(dy, directions[2].lower, dz, self.last) if self.last else dz
        return array_namespace(dS).concat([dy, dz])

    def adjoint(self, linear: Sequence[Any], P: Array) -> tuple[Array, list[ParameterGradient]]:
        """Return the adjoint state before the step, and the gradients at the three nodes."""
        xp, (p, q) = array_namespace(P), halves(P)
        end = None
        if self.last:
            p, end = linear[2].adjoint(q, p, self.last)
        q, middle = linear[1].adjoint(p, q, self.dt)
        p, start = linear[0].adjoint(q, p, self.kick)
        zero = (xp.zeros_like(start[0]), xp.zeros_like(start[1]))
        pairs = [(zero, start), (middle, zero), (zero, end or zero)]
        return xp.concat([p, q]), [join(xp, upper, lower) for upper, lower in pairs]

    def reverse(self, layers: Sequence[HamiltonianLayer], S: Array) -> Array:
        """Return the state before the step."""
        y, z = halves(S)
        z = layers[2].lower.apply(y, z, -self.last) if self.last else z
        y = layers[1].upper.apply(z, y, -self.dt)
        return array_namespace(S).concat([y, layers[0].lower.apply(y, z, -self.kick)])


class Verlet(Integrator):
    """Verlet (Stoermer's method), for the Hamiltonian layer only.

    Notes
    -----
    Haber and Ruthotto, "Stable architectures for deep neural networks" (2017), section 3.3; with half
    a kick at both ends, so that y and z are of order 2 at the final time.

    Examples
    --------
    >>> Verlet().schedule(0.5, 2)
    [VerletStep(dt=0.5, kick=0.25, last=0.0), VerletStep(dt=0.5, kick=0.5, last=0.25)]
    """

    name, order, reversible = "verlet", 2, True

    def schedule(self, dt: float, steps: int) -> list[VerletStep]:
        """Return steps that share the half kicks between them."""
        kicks = [dt / 2] + [dt] * (steps - 1)
        ends = [0.0] * (steps - 1) + [dt / 2]
        return [VerletStep(dt, kick, last) for kick, last in zip(kicks, ends, strict=True)]
