"""Cases of time stepping: final features, tangent and discrete adjoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refmg_validation.conformance.build import Draw, Shape, make, sums
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
    ("leapfrog-few-controls", "full", "symmetric", "leapfrog", 2, "periodic"),
)
# The same on other grids.
GRIDS: tuple[tuple[str, str, str, int, str, Shape], ...] = (
    ("euler-1d", "residual", "euler", 4, "reflect", (6,)),
    ("leapfrog-1d", "symmetric", "leapfrog", 2, "zero", (5,)),
    ("euler-3d", "residual", "euler", 2, "zero", (3, 2, 3)),
    ("verlet-3d", "hamiltonian", "verlet", 2, "periodic", (2, 3, 3)),
)
STEPS = 4


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for name, level, layer, integrator, nodes, boundary in RUNS:
        yield from _run(name, level, arguments(name, layer, integrator, nodes, boundary))
    for name, layer, integrator, nodes, boundary, shape in GRIDS:
        yield from _run(name, "full", arguments(name, layer, integrator, nodes, boundary, shape))


def arguments(
    name: str,
    layer: str,
    integrator: str,
    nodes: int,
    boundary: str,
    shape: Shape = (4, 3),
    examples: int = 2,
) -> dict[str, Any]:
    """Return a network of two channels, four steps to T = 2, and images."""
    draw, inputs, width = Draw(f"network-{name}"), 1 if layer == "hamiltonian" else 2, (3,) * len(shape)
    return {
        "layer": layer, "activation": "tanh", "boundary": boundary, "integrator": integrator,
        "final_time": 2.0, "steps": STEPS, "images": draw.dyadic((1, *shape, examples), 2.0),
        "opening": draw.dyadic((2, 1, *width)), "stencils": draw.dyadic((nodes, 2, inputs, *width), 0.5),
        "biases": draw.dyadic((nodes, 2)),
    }  # fmt: skip


def directions(name: str, at: dict[str, Any]) -> dict[str, Any]:
    """Return a direction of the controls."""
    draw = Draw(f"direction-{name}")
    return {f"{part}_direction": draw.dyadic(at[part].shape) for part in ("opening", "stencils", "biases")}


def _run(name: str, level: str, at: dict[str, Any]) -> Iterator[Case]:
    nodes, stages = len(at["stencils"]), STEPS * (4 if at["integrator"] == "rk4" else 2)
    taps, axes = 2 * 3 ** (at["images"].ndim - 2), at["images"].ndim - 2
    where = "" if axes == 2 else f", on {'one axis' if axes == 1 else f'{axes} axes'}"
    about = f"{FORMULAS[at['integrator']]}; {at['layer']} layer, {nodes} controls for {STEPS} steps{where}"
    Y = formulas.propagate(at)
    text = f"The final features by {about}. A control taken at another node in time shows."
    yield make(f"state-{name}", level, "propagate", text, at, Y, sums(taps, stages))
    d = directions(name, at)
    text = f"""`J v`, the derivative of the final features along a direction of opening, stencils and
        biases, by {about}. Expected from the Jacobian of the whole scheme, a dense
        matrix, by forward differentiation of its formula."""
    tangent = formulas.propagate_tangent(at | d)
    yield make(f"tangent-{name}", level, "propagate_tangent", text, at | d, tangent, sums(3 * taps, stages))
    P = Draw(f"cotangent-{name}").dyadic(Y.shape)
    text = f"""`J^T p` for {about}: the adjoint of the discrete scheme, not a discretisation of the
        continuous adjoint, expected from the transpose of that dense matrix."""
    back = formulas.propagate_adjoint(at | {"cotangent": P})
    yield make(
        f"adjoint-{name}",
        level,
        "propagate_adjoint",
        text,
        at | {"cotangent": P},
        back,
        sums(3 * taps, stages),
    )
