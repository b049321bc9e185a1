"""Cases of the whole objective, Gauss-Newton products and the two blocks of block coordinate descent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Draw, Rounding, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.groups import integrators
from refmg_validation.conformance.reference import learning
from refmg_validation.conformance.reference.arithmetic import product
from refmg_validation.conformance.reference.learning import flat, split

RUNS = (
    ("softmax-euler", "core", "residual", "euler", 4, "softmax"),
    ("least-squares-verlet", "full", "hamiltonian", "verlet", 2, "least-squares"),
    ("svm-leapfrog", "full", "symmetric", "leapfrog", 4, "svm"),
)
# Three iterations of conjugate gradients multiply rounding by the condition of the matrix they see.
STEPS = Rounding(
    1e4, "1e4 eps: some iterations of conjugate gradients, each with the rounding of the ones before."
)


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for name, level, layer, integrator, nodes, loss in RUNS:
        at = arguments(name, layer, integrator, nodes, loss)
        yield from _derivatives(name, level, at)
    yield _control_step("control-step", "core", "softmax-euler", 1.0)
    yield _control_step("control-step-shortened", "full", "softmax-euler", 2.0)
    yield _classifier_steps("classifier-steps-softmax", "core", "softmax")
    yield _classifier_steps("classifier-steps-svm", "full", "svm")


def arguments(name: str, layer: str, integrator: str, nodes: int, loss: str) -> dict[str, Any]:
    """Return a network with classifier, two images of three classes."""
    draw = Draw(f"classifier-{name}")
    return integrators.arguments(name, layer, integrator, nodes, "periodic") | {
        "loss": loss, "W": draw.dyadic((2, 4, 3, 3), 4.0), "mu": draw.dyadic((3,)), "labels": np.array([2,
        0]),
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
    at |= {"alpha_t": 0.0625, "alpha_0": 0.0625, "cg_iterations": 3, "cg_tolerance": 2.0**-20}
    expected = learning.control_step(at)
    length = expected[3]
    text = f"""One Gauss-Newton step for the controls, the first block of block coordinate descent: three
        iterations of conjugate gradients from 0 on `J^T H J` plus the regularisers, then the first of 1,
        1/2, 1/4, .. that meets Armijo's condition with 1e-4; here {length:g}. Curvature and gradient are
        of all examples."""
    return make(name, level, "control_step", text, at, expected, STEPS)


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
    expected = learning.classifier_steps(**inputs)  # type: ignore[arg-type]
    return make(name, level, "classifier_steps", text, inputs, expected, STEPS)
