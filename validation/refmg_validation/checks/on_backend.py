"""Checks of sensitivities and training on the chosen backend, by the calls that its users make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_validation.adapters.backends import Adapter
from refmg_validation.checks.control import ROUNDING, WEIGHTS, difference
from refmg_validation.checks.control_problem import EPS, PAIRS, ControlProblem
from refmg_validation.checks.finding import Finding
from refmg_validation.conformance.reference.formulas import propagate
from refmg_validation.conformance.reference.learning import Linearized
from refmg_validation.conformance.reference.steps import classifier_steps as dense_steps
from refmg_validation.conformance.reference.steps import control_step

CONTROLS = ("opening", "stencils", "biases")
STEPS = {"cg_iterations": 3, "cg_tolerance": 2.0**-20}
Real = NDArray[np.float64]


def backend_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    chosen = Adapter()
    for layer, integrator in PAIRS:
        problem = ControlProblem(layer, integrator, seed=seed)
        yield from sensitivities(chosen, problem)
    yield from training(chosen, ControlProblem("residual", "euler", seed=seed))


def arguments(p: ControlProblem) -> dict[str, Any]:
    """Return the problem as plain arrays, as a conformance case has them."""
    a = p.architecture
    kind = {"layer": p.layer, "activation": p.activation, "boundary": a.boundary, "integrator": p.integrator}
    controls = {name: getattr(p.network.controls, name) for name in CONTROLS}
    return kind | {"final_time": a.final_time, "steps": p.steps, "images": p.x} | controls


def sensitivities(chosen: Adapter, p: ControlProblem) -> Iterator[Finding]:
    """Compare final features, tangent, adjoint and the reduced derivatives with dense matrices."""
    label, at = f"{chosen.place.name}: {p.layer}, {p.integrator}", arguments(p)
    learning = at | _classifier(p)
    dense = Linearized(learning)
    Y, d = propagate(at), p.direction.flat(np)
    yield Finding(f"{label}: final features", difference(chosen.propagate(**at), Y), p.bound, ROUNDING)
    along = {f"{name}_direction": getattr(p.direction, name) for name in CONTROLS}
    tangent = chosen.propagate_tangent(**at, **along)
    yield Finding(f"{label}: tangent", difference(tangent, dense.jacobian @ d), p.bound, ROUNDING)
    P = np.random.default_rng(p.seed + 3).normal(size=Y.shape)
    adjoint = _flat(chosen.propagate_adjoint(cotangent=P, **at))
    yield Finding(f"{label}: adjoint", difference(adjoint, dense.jacobian.T @ P.ravel()), p.bound, ROUNDING)
    gradient = _flat(chosen.control_gradient(**learning)[1:])
    yield Finding(f"{label}: reduced gradient", difference(gradient, dense.gradient), p.bound, ROUNDING)
    found = _flat(chosen.gauss_newton_product(**learning, **along))
    error = difference(found, dense.gauss_newton @ d)
    yield Finding(f"{label}: Gauss-Newton product", error, 4 * p.bound, f"4 x {ROUNDING}")


def _classifier(p: ControlProblem) -> dict[str, Any]:
    c = p.network.classifier
    return {"loss": "softmax", "W": c.W, "mu": c.mu, "labels": np.arange(p.x.shape[-1])}


def _flat(parts: tuple[Any, ...]) -> Real:
    return np.concatenate([np.ravel(part) for part in parts])


def training(chosen: Adapter, p: ControlProblem) -> Iterator[Finding]:
    """Compare both blocks of an iteration with the same by dense matrices."""
    at = arguments(p) | _classifier(p) | STEPS | {"alpha_t": WEIGHTS.alpha_t, "alpha_0": WEIGHTS.alpha_0}
    expected, found = control_step(at), chosen.control_step(**at)
    # Three iterations of conjugate gradients, each with the rounding of those before.
    bound, remark = 1e4 * EPS, "1e4 eps"
    label = f"{chosen.place.name}: a Gauss-Newton step of the controls, dense matrices"
    yield Finding(label, difference(_flat(found), _flat(expected)), bound, remark)
    steps = (
        _classifier(p) | STEPS | {"features": propagate(at), "alpha_W": WEIGHTS.alpha_W, "newton_steps": 2}
    )
    label = f"{chosen.place.name}: Newton steps of the classifier, dense matrices"
    error = difference(_flat(chosen.classifier_steps(**steps)), _flat(dense_steps(**steps)))
    yield Finding(label, error, bound, remark)
