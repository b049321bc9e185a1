"""Layers and networks, with the derivatives of autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from refmg_validation.adapters.torch import networks
from refmg_validation.adapters.torch.grid import examples_first, examples_last
from refmg_validation.adapters.torch.networks import Kind, Run
from refmg_validation.adapters.torch.tensors import on_tensors

CONTROLS = ("opening", "stencils", "biases")


def _layer(layer: str, activation: str, boundary: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    kind = Kind(layer, activation, boundary)
    return lambda Y, s, b: examples_last(networks.layer(kind, s, b)(examples_first(Y)))


@on_tensors
def apply_layer(features: Tensor, stencil: Tensor, bias: Tensor, **kind: str) -> Tensor:
    """Return ``F(y)``."""
    return _layer(**kind)(features, stencil, bias)


@on_tensors
def layer_tangent(
    features: Tensor,
    stencil: Tensor,
    bias: Tensor,
    features_direction: Tensor,
    stencil_direction: Tensor,
    bias_direction: Tensor,
    **kind: str,
) -> Tensor:
    """Return the derivative along a direction, by forward autograd."""
    where, direction = (features, stencil, bias), (features_direction, stencil_direction, bias_direction)
    return torch.func.jvp(_layer(**kind), where, direction)[1]


@on_tensors
def layer_adjoint(
    features: Tensor, stencil: Tensor, bias: Tensor, cotangent: Tensor, **kind: str
) -> tuple[Tensor, ...]:
    """Return the adjoint of that, by backward autograd."""
    return tuple(torch.func.vjp(_layer(**kind), features, stencil, bias)[1](cotangent))


def controls_of(inputs: dict[str, Any], suffix: str = "") -> tuple[Tensor, ...]:
    """Return opening, stencils and biases, or a direction of them."""
    return tuple(inputs[name + suffix] for name in CONTROLS)


def features_of(inputs: dict[str, Any]) -> Callable[..., Tensor]:
    """Return the final features ``(m, C, n_1, .., n_d)`` as a function of the controls."""
    kind = Kind(inputs["layer"], inputs["activation"], inputs["boundary"])
    run = Run(kind, inputs["integrator"], float(inputs["final_time"]), int(inputs["steps"]))
    return lambda *controls: networks.propagate(run, inputs["images"], *controls)


@on_tensors
def propagate(**inputs: Any) -> Tensor:
    """Return the final features."""
    return examples_last(features_of(inputs)(*controls_of(inputs)))


@on_tensors
def propagate_tangent(**inputs: Any) -> Tensor:
    """Return ``J v``, by forward autograd."""
    direction = controls_of(inputs, "_direction")
    return examples_last(torch.func.jvp(features_of(inputs), controls_of(inputs), direction)[1])


@on_tensors
def propagate_adjoint(cotangent: Tensor, **inputs: Any) -> tuple[Tensor, ...]:
    """Return ``J^T p``, by backward autograd."""
    back = torch.func.vjp(features_of(inputs), *controls_of(inputs))[1]
    return tuple(back(examples_first(cotangent)))
