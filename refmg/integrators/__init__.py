"""Time-stepping schemes, each with state, tangent and discrete adjoint."""

from __future__ import annotations

from refmg.integrators.forward_euler import EulerStep, ForwardEuler
from refmg.integrators.integrator import Integrator, ReversibleStep, Step
from refmg.integrators.leapfrog import Leapfrog, LeapfrogStep
from refmg.integrators.runge_kutta import RungeKutta4, RungeKuttaStep
from refmg.integrators.verlet import Verlet, VerletStep
from refmg_backends import RefmgError, one_of

INTEGRATORS: dict[str, Integrator] = {
    scheme.name: scheme for scheme in (ForwardEuler(), RungeKutta4(), Leapfrog(), Verlet())
}

__all__ = [
    "EulerStep",
    "ForwardEuler",
    "INTEGRATORS",
    "Integrator",
    "Leapfrog",
    "LeapfrogStep",
    "ReversibleStep",
    "RungeKutta4",
    "RungeKuttaStep",
    "Step",
    "Verlet",
    "VerletStep",
    "named_integrator",
]


def named_integrator(name: str) -> Integrator:
    """Return the integrator of this name.

    Parameters
    ----------
    name : {"euler", "rk4", "leapfrog", "verlet"}
        ``"leapfrog"`` integrates the second-order equation of any layer from rest; ``"verlet"`` needs
        the Hamiltonian layer.

    Returns
    -------
    Integrator

    Raises
    ------
    RefmgError
        If the name is unknown.

    Examples
    --------
    >>> [(name, named_integrator(name).order) for name in INTEGRATORS]
    [('euler', 1), ('rk4', 4), ('leapfrog', 2), ('verlet', 2)]
    """
    if name not in INTEGRATORS:
        raise RefmgError(one_of("integrator", name, INTEGRATORS))
    return INTEGRATORS[name]
