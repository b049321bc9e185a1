"""Classifier, regularisers, Gauss-Newton products and steps."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from refmg_validation.adapters.torch import networks, newton
from refmg_validation.adapters.torch.grid import examples_first, examples_last
from refmg_validation.adapters.torch.network_functions import controls_of, features_of
from refmg_validation.adapters.torch.tensors import on_tensors


@on_tensors
def classifier_loss(loss: str, features: Tensor, W: Tensor, mu: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    """Return logits, mean loss and its gradients."""

    def value(*parts: Tensor) -> tuple[Tensor, Tensor]:
        Y, weights, biases = parts
        Z = networks.logits(examples_first(Y), weights, biases)
        return networks.mean_loss(loss, Z, labels), Z

    gradient, (found, Z) = torch.func.grad_and_value(value, argnums=(0, 1, 2), has_aux=True)(features, W, mu)
    return Z.T, found, *gradient


def _classifier_objective(
    loss: str, features: Tensor, labels: Tensor, alpha_W: float = 0.0
) -> Callable[..., Tensor]:
    def value(W: Tensor, mu: Tensor) -> Tensor:
        Z = networks.logits(examples_first(features), W, mu)
        return networks.mean_loss(loss, Z, labels) + _roughness(W, alpha_W)

    return value


@on_tensors
def classifier_hessian_product(
    loss: str,
    features: Tensor,
    W: Tensor,
    mu: Tensor,
    labels: Tensor,
    W_direction: Tensor,
    mu_direction: Tensor,
) -> tuple[Tensor, ...]:
    """Return the Hessian of the mean loss times a direction, forward over backward."""
    objective = _classifier_objective(loss, features, labels)
    return newton.hessian(objective, (W, mu))((W_direction, mu_direction))


def _roughness(W: Tensor, alpha_W: float) -> Tensor:
    cells = W.shape[1:-1]
    total = torch.zeros((), dtype=W.dtype)
    for axis, n in enumerate(cells, start=1):
        total = total + (torch.diff(W, dim=axis) * n).square().sum()
    return alpha_W / 2 * total / prod(cells)


@on_tensors
def weight_regularizer(W: Tensor, alpha_W: float) -> tuple[Tensor, Tensor]:
    """Return value and gradient."""
    gradient, value = torch.func.grad_and_value(_roughness)(W, alpha_W)
    return value, gradient


def _penalty(final_time: float, alpha_t: float, alpha_0: float) -> Callable[..., Tensor]:
    def value(opening: Tensor, *theta: Tensor) -> Tensor:
        dt = final_time / len(theta[0])
        total = alpha_0 / 2 * opening.square().sum()
        for part in theta:
            total = total + alpha_t / 2 * part.diff(dim=0).square().sum() / dt
            total = total + alpha_0 / 2 * dt * part.square().sum()
        return total

    return value


@on_tensors
def control_regularizer(
    opening: Tensor, stencils: Tensor, biases: Tensor, final_time: float, alpha_t: float, alpha_0: float
) -> tuple[Tensor, ...]:
    """Return value and gradient."""
    penalty = torch.func.grad_and_value(_penalty(final_time, alpha_t, alpha_0), argnums=(0, 1, 2))
    gradient, value = penalty(opening, stencils, biases)
    return value, *gradient


def _model(inputs: dict[str, Any]) -> Callable[..., Tensor]:
    features = features_of(inputs)
    return lambda *controls: networks.logits(features(*controls), inputs["W"], inputs["mu"])


def _loss(inputs: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    return lambda Z: networks.mean_loss(inputs["loss"], Z, inputs["labels"])


@on_tensors
def control_gradient(**inputs: Any) -> tuple[Tensor, ...]:
    """Return the mean loss of the network, and its gradient in the controls."""
    model, loss = _model(inputs), _loss(inputs)
    derive = torch.func.grad_and_value(lambda *controls: loss(model(*controls)), argnums=(0, 1, 2))
    gradient, value = derive(*controls_of(inputs))
    return value, *gradient


@on_tensors
def gauss_newton_product(**inputs: Any) -> tuple[Tensor, ...]:
    """Return ``J^T H J v``: forward, forward over backward, backward."""
    product = newton.gauss_newton(_model(inputs), _loss(inputs), controls_of(inputs))
    return product(controls_of(inputs, "_direction"))


@on_tensors
def control_step(
    alpha_t: float, alpha_0: float, cg_iterations: int, cg_tolerance: float, **inputs: Any
) -> tuple[Any, ...]:
    """Return the controls after one Gauss-Newton step, and its length."""
    return _control_step(inputs, inputs, alpha_t, alpha_0, cg_iterations, cg_tolerance)


def _control_step(
    inputs: dict[str, Any],
    subset: dict[str, Any],
    alpha_t: float,
    alpha_0: float,
    cg_iterations: int,
    cg_tolerance: float,
) -> tuple[Any, ...]:
    """Return the controls after a step whose Gauss-Newton matrix is of a subset, and its length."""
    model, loss, x = _model(inputs), _loss(inputs), controls_of(inputs)
    penalty = _penalty(float(inputs["final_time"]), alpha_t, alpha_0)
    data_term = newton.gauss_newton(_model(subset), _loss(subset), x)
    smooth = newton.hessian(penalty, x)

    def product(v: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(a + b for a, b in zip(data_term(v), smooth(v), strict=True))

    def objective(*controls: Tensor) -> Tensor:
        return loss(model(*controls)) + penalty(*controls)

    reached, step = newton.newton_step(objective, x, product, int(cg_iterations), cg_tolerance)
    return *reached, step


@on_tensors
def descent_iteration(
    subsample: Tensor,
    alpha_t: float,
    alpha_0: float,
    alpha_W: float,
    cg_iterations: int,
    cg_tolerance: float,
    newton_steps: int,
    newton_cg_iterations: int,
    newton_cg_tolerance: float,
    **inputs: Any,
) -> tuple[Tensor, ...]:
    """Return all parameters after one iteration of block coordinate descent."""
    subset = inputs | {"images": inputs["images"][..., subsample], "labels": inputs["labels"][subsample]}
    *reached, _ = _control_step(inputs, subset, alpha_t, alpha_0, cg_iterations, cg_tolerance)
    features = examples_last(features_of(inputs)(*reached))
    given = {name: inputs[name] for name in ("loss", "W", "mu", "labels")} | {"features": features}
    settings = (alpha_W, newton_steps, newton_cg_iterations, newton_cg_tolerance)
    return *reached, *_classifier_steps(**given, settings=settings)


@on_tensors
def classifier_steps(
    loss: str,
    features: Tensor,
    W: Tensor,
    mu: Tensor,
    labels: Tensor,
    alpha_W: float,
    newton_steps: int,
    cg_iterations: int,
    cg_tolerance: float,
) -> tuple[Tensor, ...]:
    """Return the classifier after Newton steps."""
    settings = (alpha_W, newton_steps, cg_iterations, cg_tolerance)
    return _classifier_steps(loss, features, W, mu, labels, settings)


def _classifier_steps(
    loss: str, features: Tensor, W: Tensor, mu: Tensor, labels: Tensor, settings: tuple[float, ...]
) -> tuple[Tensor, ...]:
    """Return the classifier after Newton steps in the inner product of functions on the grid."""
    alpha_W, newton_steps, cg_iterations, tolerance = settings
    objective, cells = _classifier_objective(loss, features, labels, alpha_W), prod(W.shape[1:-1])
    x: tuple[Tensor, ...] = (W, mu)
    for _ in range(int(newton_steps)):
        product = newton.hessian(objective, x)
        x, _step = newton.newton_step(
            objective, x, product, int(cg_iterations), tolerance, lambda v: (v[0] * cells, v[1])
        )
    return x
