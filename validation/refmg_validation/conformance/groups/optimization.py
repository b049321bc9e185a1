"""Cases of the whole objective, Gauss-Newton products and the two blocks of block coordinate descent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Draw, Rounding, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.groups import integrators
from refmg_validation.conformance.reference import learning, steps
from refmg_validation.conformance.reference.arithmetic import product
from refmg_validation.conformance.reference.learning import flat, split

RUNS = (
    ("softmax-euler", "core", "residual", "euler", 4, "softmax"),
    ("least-squares-verlet", "full", "hamiltonian", "verlet", 2, "least-squares"),
    ("svm-leapfrog", "full", "symmetric", "leapfrog", 4, "svm"),
)
# Small against every number of the steps, large against the rounding of the reference.
DISTURBANCE, DISTURBANCES = 2.0**-26, 8
STEP_INPUTS = {"alpha_t": 0.0625, "alpha_0": 0.0625, "cg_iterations": 3, "cg_tolerance": 2.0**-20}


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for name, level, layer, integrator, nodes, loss in RUNS:
        at = arguments(name, layer, integrator, nodes, loss)
        yield from _derivatives(name, level, at)
    yield _control_step("control-step", "core", "softmax-euler", 1.0)
    yield _control_step("control-step-shortened", "full", "softmax-euler", 2.0)
    yield _iteration("descent-iteration", "full", "iteration")
    yield _classifier_steps("classifier-steps-softmax", "core", "softmax")
    yield _classifier_steps("classifier-steps-svm", "full", "svm")


def arguments(
    name: str, layer: str, integrator: str, nodes: int, loss: str, examples: int = 2
) -> dict[str, Any]:
    """Return a network with classifier, images of three classes."""
    draw = Draw(f"classifier-{name}")
    of_network = integrators.arguments(name, layer, integrator, nodes, "periodic", examples=examples)
    return of_network | {
        "loss": loss, "W": draw.dyadic((2, 4, 3, 3), 4.0), "mu": draw.dyadic((3,)),
        "labels": np.array([2, 0, 1, 2])[:examples],
    }  # fmt: skip


def _derivatives(name: str, level: str, at: dict[str, Any]) -> Iterator[Case]:
    parts, stages = learning.controls(at), integrators.STEPS * 2
    value = learning.objective(at)
    about = learning.Linearized(at)
    gradient = split(about.gradient, *parts)
    text = f"""The mean loss of a whole network, `{at["loss"]}`, {at["integrator"]}, and its gradient by
        opening, stencils and biases: `J^T`, the transpose of a dense matrix, times `h^d W` times the gradient
        in the logits."""
    yield make(f"gradient-{name}", level, "control_gradient", text, at, (value, *gradient), sums(54, stages))
    d = integrators.directions(name, at)
    found = split(product(about.gauss_newton, flat(*d.values())), *parts)
    text = f"""The Gauss-Newton matrix in the controls times a direction, for `{at["loss"]}` and
        {at["integrator"]}; no regulariser. Expected from the matrix itself."""
    yield make(f"gauss-newton-{name}", level, "gauss_newton_product", text, at | d, found, sums(108, stages))


def _control_step(name: str, level: str, network: str, scale: float) -> Case:
    at = arguments(network, "residual", "euler", 4, "softmax")
    at["W"] = scale * at["W"]
    at |= STEP_INPUTS
    expected = steps.control_step(at)
    length = expected[3]
    text = f"""One Gauss-Newton step for the controls, the first block of block coordinate descent: three
        iterations of conjugate gradients from 0 on `J^T H J` plus the regularisers, then the first of 1,
        1/2, 1/4, .. that meets Armijo's condition with 1e-4; here {length:g}. Curvature and gradient are
        of all examples."""
    rounding = _rounding(54, lambda change: steps.control_step(at, change=change))
    return make(name, level, "control_step", text, at, expected, rounding)


def _rounding(terms: int, run: Callable[[steps.Change], tuple[Any, ...]]) -> Rounding:
    """Return the tolerance of steps: by how much they amplify small changes of matrix and gradient."""
    right, amplified = run(steps.as_it_is), 1.0
    for trial in range(DISTURBANCES):
        draw = Draw(f"disturbance-{trial}")
        found = run(lambda x, draw=draw: x * (1 + DISTURBANCE * draw.dyadic(x.shape)))  # type: ignore[misc]
        for a, b in zip(found, right, strict=True):
            change, size = float(np.max(np.abs(a - b))), float(np.max(np.abs(b)))
            amplified = max(amplified, change / size / DISTURBANCE)
    amplified = float(ceil(amplified))
    stages = integrators.STEPS * 2
    reason = f"""2 n eps in matrix and gradient: sums of n = {terms} products, {stages} stages add up; the
        iterations of conjugate gradients amplify what changes there {amplified:g}-fold at most, as measured
        with {DISTURBANCES} disturbances of 2^-26."""
    return Rounding(2.0 * terms * stages * amplified, " ".join(reason.split()))


def _iteration(name: str, level: str, network: str) -> Case:
    at = arguments(network, "residual", "euler", 4, "softmax", examples=4) | STEP_INPUTS
    at |= {
        "subsample": np.array([0, 3]), "alpha_W": 0.0625, "newton_steps": 2, "newton_cg_iterations": 3,
        "newton_cg_tolerance": 2.0**-20,
    }  # fmt: skip
    text = """One iteration of block coordinate descent (paper, section 4) on four images: a Gauss-Newton
        step for the controls, with curvature from two of the images and value and gradient from all, then two
        Newton steps for the classifier at the features of the new controls."""
    rounding = _rounding(54, lambda change: steps.descent_iteration(at, change))
    return make(name, level, "descent_iteration", text, at, steps.descent_iteration(at), rounding)


def _classifier_steps(name: str, level: str, loss: str) -> Case:
    draw = Draw(name)
    inputs = {
        "loss": loss, "features": draw.dyadic((2, 4, 3, 6), 4.0), "W": draw.dyadic((2, 4, 3, 3)),
        "mu": draw.dyadic((3,)), "labels": np.array([2, 0, 1, 2, 1, 0]), "alpha_W": 0.0625,
        "newton_steps": 2, "cg_iterations": 3, "cg_tolerance": 2.0**-20,
    }  # fmt: skip
    text = f"""Two Newton steps for the classifier at fixed features, loss `{loss}`, the second block of
        block coordinate descent. Conjugate gradients are preconditioned by the mass: residuals of `W` are
        divided by `h^d`, those of `mu` are not. Armijo's rule as for the controls."""
    expected = steps.classifier_steps(**inputs)  # type: ignore[arg-type]
    rounding = _rounding(24, lambda change: steps.classifier_steps(**inputs, change=change))  # type: ignore[arg-type]
    return make(name, level, "classifier_steps", text, inputs, expected, rounding)
