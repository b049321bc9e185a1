"""Cases of time stepping: final features, tangent and discrete adjoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refmg_validation.conformance.build import Draw, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference import formulas

FORMULAS = {
    "euler": "forward Euler, `y_{k+1} = y_k + dt F(y_k, theta(t_k))`",
    "rk4": "the classical Runge-Kutta method, with the controls at both ends and in the middle of each step",
    "leapfrog": "leapfrog, `y_{k+1} = 2 y_k - y_{k-1} + dt^2 F(y_k, theta(t_k))`, from rest: "
    "`y_1 = y_0 + dt^2 / 2 F(y_0)`",
    "verlet": "Verlet's method: half a kick of z with `theta(t_k)`, a drift of y with `theta(t_k + dt / 2)`, "
    "half a kick of z with `theta(t_{k+1})`",
}

# name, level, layer, integrator, number of controls (for four steps), boundary
RUNS = (
    ("euler", "core", "residual", "euler", 4, "periodic"),
    ("euler-few-controls", "full", "residual", "euler", 2, "zero"),
    ("rk4", "core", "residual", "rk4", 2, "periodic"),
    ("rk4-symmetric", "full", "symmetric", "rk4", 4, "reflect"),
    ("leapfrog", "core", "symmetric", "leapfrog", 4, "periodic"),
    ("verlet", "core", "hamiltonian", "verlet", 4, "periodic"),
    ("verlet-few-controls", "full", "hamiltonian", "verlet", 2, "periodic"),
)
STEPS = 4


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for name, level, layer, integrator, nodes, boundary in RUNS:
        yield from _run(name, level, arguments(name, layer, integrator, nodes, boundary))


def arguments(name: str, layer: str, integrator: str, nodes: int, boundary: str) -> dict[str, Any]:
    """Return a network of two channels on 4 x 3 cells, four steps to T = 2, and two images."""
    draw, inputs = Draw(f"network-{name}"), 1 if layer == "hamiltonian" else 2
    return {
        "layer": layer, "activation": "tanh", "boundary": boundary, "integrator": integrator,
        "final_time": 2.0, "steps": STEPS, "images": draw.dyadic((1, 4, 3, 2), 2.0),
        "opening": draw.dyadic((2, 1, 3, 3)), "stencils": draw.dyadic((nodes, 2, inputs, 3, 3), 0.5),
        "biases": draw.dyadic((nodes, 2)),
    }  # fmt: skip


def directions(name: str, at: dict[str, Any]) -> dict[str, Any]:
    """Return a direction of the controls."""
    draw = Draw(f"direction-{name}")
    return {f"{part}_direction": draw.dyadic(at[part].shape) for part in ("opening", "stencils", "biases")}


def _run(name: str, level: str, at: dict[str, Any]) -> Iterator[Case]:
    nodes, stages = len(at["stencils"]), STEPS * (4 if at["integrator"] == "rk4" else 2)
    about = f"{FORMULAS[at['integrator']]}; {at['layer']} layer, {nodes} controls for {STEPS} steps"
    Y = formulas.propagate(at)
    text = f"The final features by {about}. A control taken at another node in time shows."
    yield make(f"state-{name}", level, "propagate", text, at, Y, sums(18, stages))
    d = directions(name, at)
    text = f"""`J v`, the derivative of the final features along a direction of opening, stencils and
        biases, by {about}. Expected from the Jacobian of the whole scheme, a dense
        matrix, by forward differentiation of its formula."""
    tangent = formulas.propagate_tangent(at | d)
    yield make(f"tangent-{name}", level, "propagate_tangent", text, at | d, tangent, sums(54, stages))
    P = Draw(f"cotangent-{name}").dyadic(Y.shape)
    text = f"""`J^T p` for {about}: the adjoint of the discrete scheme, not a discretisation of the
        continuous adjoint, expected from the transpose of that dense matrix."""
    back = formulas.propagate_adjoint(at | {"cotangent": P})
    yield make(
        f"adjoint-{name}", level, "propagate_adjoint", text, at | {"cotangent": P}, back, sums(54, stages)
    )
