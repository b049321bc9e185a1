"""Cases of layer functions: value, tangent and adjoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Draw, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference import formulas, layers

FORMULAS = {
    "residual": "`F(y) = sigma(K y + b)`",
    "symmetric": "`F(y) = -K^T sigma(K y + b)`",
    "hamiltonian": "`F(y, z) = (K_1^T sigma(K_1 z + b_1), -K_2^T sigma(K_2 y + b_2))`; `y` is the first "
    "half of the channels, `K_1` and `b_1` the first half of stencils and biases",
}


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for layer, formula in FORMULAS.items():
        yield from _of_layer(layer, formula)
    yield from _activations()


def arguments(name: str, layer: str, activation: str, boundary: str) -> dict[str, Any]:
    """Return features, stencil and bias: two channels of 4 x 3 cells, two examples."""
    draw = Draw(name)
    inputs = 1 if layer == "hamiltonian" else 2
    return {
        "layer": layer, "activation": activation, "boundary": boundary, "features": draw.dyadic((2, 4, 3, 2)),
        "stencil": draw.dyadic((2, inputs, 3, 3)), "bias": draw.dyadic((2,)),
    }  # fmt: skip


def _of_layer(layer: str, formula: str) -> Iterator[Case]:
    at = arguments(f"layer-{layer}", layer, "tanh", "periodic")
    stages = 1 if layer == "residual" else 2
    rounding = sums(18, stages)
    text = f"{formula} with tanh. One bias a channel."
    yield make(f"layer-{layer}", "core", "apply_layer", text, at, layers.apply_layer(**at), rounding)
    draw = Draw(f"layer-{layer}-directions")
    direction = {f"{part}_direction": draw.dyadic(at[part].shape) for part in ("features", "stencil", "bias")}
    tangent = formulas.layer_tangent(at | direction)
    text = f"""The derivative of {formula} along a direction of features, stencil and bias together, by
        explicit Jacobians."""
    # Three products of one sum each, and the derivative of tanh.
    yield make(
        f"layer-{layer}-tangent", "core", "layer_tangent", text, at | direction, tangent, sums(54, stages)
    )
    P = Draw(f"layer-{layer}-cotangent").dyadic(at["features"].shape)
    back = formulas.layer_adjoint(at | {"cotangent": P})
    text = f"The adjoint of the derivative of {formula}: for features, stencil and bias."
    yield make(
        f"layer-{layer}-adjoint", "core", "layer_adjoint", text, at | {"cotangent": P}, back, sums(54, stages)
    )


def _activations() -> Iterator[Case]:
    for activation, boundary in (("relu", "periodic"), ("identity", "zero")):
        name = f"layer-{activation}"
        draw = Draw(name)
        at = arguments(name, "residual", activation, boundary) | {
            "features": draw.whole((2, 4, 3, 2)), "stencil": draw.whole((2, 2, 3, 3)),
            "bias": draw.whole((2,)),
        }  # fmt: skip
        text = f"""The residual layer with the activation `{activation}`, boundary `{boundary}`, in whole
            numbers."""
        yield make(name, "full", "apply_layer", text, at, layers.apply_layer(**at))
    at = arguments("layer-residual-reflect", "residual", "tanh", "reflect")
    text = """The residual layer with tanh, boundary `reflect`: cells at the edge are repeated, as refmg's
        `reflect` has it and PyTorch's has not."""
    made = layers.apply_layer(**at)
    yield make("layer-residual-reflect", "full", "apply_layer", text, at, made, sums(18))
    at = arguments("layer-smooth-relu", "symmetric", "smooth-relu", "reflect")
    at["features"] = at["features"] / 8  # so that arguments fall into the corner
    text = """The symmetric layer with `smooth-relu`, a parabola on `|x| < 0.1` between 0 and `x`,
        boundary `reflect`."""
    assert np.any(np.abs(at["features"]) < 0.1)
    yield make("layer-smooth-relu", "full", "apply_layer", text, at, layers.apply_layer(**at), sums(18, 2))
