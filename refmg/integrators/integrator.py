"""What every integrator has: steps with state, tangent and discrete adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from types import ModuleType
from typing import Any, ClassVar, Protocol

from refmg.dynamics import ParameterGradient
from refmg_backends.backend import Array

Nodes = tuple[Fraction, ...]


class Step(Protocol):
    """One time step of an integrator: its coefficients, without parameters.

    Tangent and adjoint are those of the discrete step, not discretisations of the continuous ones, so
    that gradients are exact for the network that is computed.

    Attributes
    ----------
    nodes : tuple of Fraction
        Where in the step the parameters are needed, as fractions of it; every method takes one layer
        for each node.
    """

    nodes: ClassVar[Nodes]

    def step(self, layers: Sequence[Any], S: Array) -> Array:
        """Return the next state."""

    def linearize(self, layers: Sequence[Any], S: Array) -> tuple[Array, Any]:
        """Return the next state and what tangent and adjoint of this step need."""

    def tangent(self, linear: Any, directions: Sequence[Any], dS: Array) -> Array:
        """Return the next tangent state."""

    def adjoint(self, linear: Any, P: Array) -> tuple[Array, list[ParameterGradient]]:
        """Return the adjoint state before the step, and the gradient of each node's parameters."""


class ReversibleStep(Step, Protocol):
    """A step that can be undone."""

    def reverse(self, layers: Sequence[Any], S: Array) -> Array:
        """Return the state before the step."""


class Integrator:
    """A time-stepping scheme: its order, its state, and its steps.

    Attributes
    ----------
    name : str
        As in :data:`refmg.integrators.INTEGRATORS`.
    order : int
        Of accuracy in dt, for smooth layers and parameters.
    reversible : bool
        Whether its steps can be undone.
    copies : int
        Channels of the state by channels of the features.
    """

    name: ClassVar[str]
    order: ClassVar[int]
    reversible: ClassVar[bool] = False
    copies: ClassVar[int] = 1

    def schedule(self, dt: float, steps: int) -> Sequence[Step]:
        """Return the steps from time 0 to ``steps * dt``."""
        raise NotImplementedError(f"{type(self).__name__} must say what its steps are")

    def embed(self, xp: ModuleType, Y: Array) -> Array:
        """Return the first state of features `Y`; the transpose of :meth:`project`."""
        return Y if self.copies == 1 else xp.concat([Y] + [xp.zeros_like(Y)] * (self.copies - 1))

    def project(self, S: Array) -> Array:
        """Return the features of a state."""
        return S if self.copies == 1 else S[: S.shape[0] // self.copies, ...]


def add(a: ParameterGradient, b: ParameterGradient) -> ParameterGradient:
    """Return the sum of two gradients."""
    return a[0] + b[0], a[1] + b[1]


START, MIDDLE, END = Fraction(0), Fraction(1, 2), Fraction(1)
