"""Gauss-Newton and Newton steps with dense matrices, and one iteration of block coordinate descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.functions import FUNCTIONS
from refmg_validation.conformance.reference import losses, propagation
from refmg_validation.conformance.reference.arithmetic import dot, product
from refmg_validation.conformance.reference.learning import (
    Linearized,
    control_matrix,
    controls,
    flat,
    objective,
    split,
    weight_matrix,
)

# What is done to a matrix and a gradient before they are used: nothing, or a disturbance.
Change = Callable[[Floats], Floats]
CONTROLS = ("opening", "stencils", "biases")


def as_it_is(x: Floats) -> Floats:
    """Return what is given."""
    return x


def conjugate_gradients(
    A: Floats, b: Floats, iterations: int, tolerance: float, inverse: Floats | None = None
) -> Floats:
    """Return the iterate of preconditioned conjugate gradients from 0; `inverse` is a diagonal.

    Examples
    --------
    >>> conjugate_gradients(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([3.0, 4.0]), 2, 0.0).round(12)
    array([1., 1.])
    """
    M = np.ones_like(b) if inverse is None else inverse
    x, r = np.zeros_like(b), b
    d = M * r
    rho = first = dot(r, M * r)
    for _ in range(iterations):
        Ad = product(A, d)
        step = rho / dot(d, Ad)
        x, r = x + step * d, r - step * Ad
        rho, old = dot(r, M * r), rho
        if rho <= tolerance**2 * first:
            break
        d = M * r + rho / old * d
    return x


def armijo(value: Callable[[float], float], start: float, slope: float) -> float:
    """Return the first of 1, 1/2, .. with ``value <= start + 1e-4 step slope``, at most ten; else 0."""
    steps = (0.5**k for k in range(10))
    return next((t for t in steps if value(t) <= start + 1e-4 * t * slope), 0.0)


def _length(value: Callable[[Floats], float], x: Floats, d: Floats, slope: float) -> float:
    return armijo(lambda t: value(x + t * d), value(x), slope)


def control_step(
    inputs: dict[str, Any], chosen: Any = slice(None), change: Change = as_it_is
) -> tuple[Floats, Floats, Floats, float]:
    """Return the controls after one Gauss-Newton step, and the step length.

    Parameters
    ----------
    inputs : dict
        Of the case.
    chosen : index
        Of the examples in the Gauss-Newton matrix; all by default.
    change : callable
        Of gradient and matrix, to see what their rounding does.
    """
    parts = controls(inputs)
    theta = flat(*parts)
    penalty = control_matrix(*parts, inputs["final_time"], inputs["alpha_t"], inputs["alpha_0"])

    def value(v: Floats) -> float:
        moved = inputs | dict(zip(CONTROLS, split(v, *parts), strict=True))
        return objective(moved) + 0.5 * dot(v, product(penalty, v))

    subset = inputs | {"images": inputs["images"][..., chosen], "labels": inputs["labels"][chosen]}
    g = change(Linearized(inputs).gradient + product(penalty, theta))
    A = change(Linearized(subset).gauss_newton + penalty)
    d = conjugate_gradients(A, -g, inputs["cg_iterations"], inputs["cg_tolerance"])
    step = _length(value, theta, d, dot(g, d))
    opening, stencils, biases = split(theta + step * d, *parts)
    return opening, stencils, biases, step


def classifier_steps(
    loss: str,
    features: Floats,
    W: Floats,
    mu: Floats,
    labels: Floats,
    alpha_W: float,
    newton_steps: int,
    cg_iterations: int,
    cg_tolerance: float,
    change: Change = as_it_is,
) -> tuple[Floats, Floats]:
    """Return weights and biases of the classes after Newton steps at fixed features."""
    penalty = np.zeros((W.size + mu.size,) * 2)
    penalty[: W.size, : W.size] = weight_matrix(W, alpha_W)
    inverse_mass = np.concatenate([np.full(W.size, 1 / losses.cell_volume(W)), np.ones(mu.size)])

    def value(v: Floats) -> float:
        Z = losses.logits(features, *split(v, W, mu))
        return losses.mean_loss(loss, Z, labels)[0] + 0.5 * dot(v, product(penalty, v))

    v = flat(W, mu)
    for _ in range(newton_steps):
        weights, biases = split(v, W, mu)
        by = losses.classifier_loss(loss, features, weights, biases, labels)
        g = change(flat(*by[3:]) + product(penalty, v))
        A = change(losses.hessian(loss, features, weights, biases, labels) + penalty)
        d = conjugate_gradients(A, -g, cg_iterations, cg_tolerance, inverse_mass)
        v = v + d * _length(value, v, d, dot(g, d))
    weights, biases = split(v, W, mu)
    return weights, biases


def descent_iteration(inputs: dict[str, Any], change: Change = as_it_is) -> tuple[Floats, ...]:
    """Return all parameters after one iteration: a step of the controls, then those of the classifier."""
    reached = control_step(inputs, inputs["subsample"], change)[:3]
    network = inputs | dict(zip(CONTROLS, reached, strict=True))
    features = propagation.propagate(**{name: network[name] for name in FUNCTIONS["propagate"].arguments})
    given = {name: inputs[name] for name in ("loss", "W", "mu", "labels", "alpha_W", "newton_steps")}
    given |= {name: inputs[f"newton_{name}"] for name in ("cg_iterations", "cg_tolerance")}
    return *reached, *classifier_steps(features=features, **given, change=change)
