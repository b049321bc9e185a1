"""The functions on grids by name, from the inputs of a case to its outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.functions import FUNCTIONS
from refmg_validation.conformance.reference import blocks, layers, operators, propagation
from refmg_validation.conformance.reference.arithmetic import product
from refmg_validation.conformance.reference.learning import flat, split

Inputs = dict[str, Any]
LAYER, NETWORK = FUNCTIONS["apply_layer"].arguments, FUNCTIONS["propagate"].arguments
OF_LAYER, CONTROLS = ("features", "stencil", "bias"), ("opening", "stencils", "biases")


def _convolve_transpose(inputs: Inputs) -> Floats:
    return operators.convolve_transpose(**inputs | {"shape": tuple(int(n) for n in inputs["shape"])})


def _stencil_gradient(inputs: Inputs) -> Floats:
    return operators.stencil_gradient(**inputs | {"width": tuple(int(k) for k in inputs["width"])})


def layer_tangent(inputs: Inputs) -> Floats:
    """Return the derivative of a layer along a direction."""
    J, B = layers.jacobian(**{name: inputs[name] for name in LAYER})
    dY, *d = (inputs[f"{name}_direction"] for name in OF_LAYER)
    return (product(J, dY.ravel()) + product(B, flat(*d))).reshape(dY.shape)


def layer_adjoint(inputs: Inputs) -> tuple[Floats, ...]:
    """Return the adjoint of that."""
    J, B = layers.jacobian(**{name: inputs[name] for name in LAYER})
    P, parts = inputs["cotangent"], (inputs["stencil"], inputs["bias"])
    return product(J.T, P.ravel()).reshape(inputs["features"].shape), *split(product(B.T, P.ravel()), *parts)


def propagate(inputs: Inputs) -> Floats:
    """Return the final features."""
    return propagation.propagate(**{name: inputs[name] for name in NETWORK})


def propagate_tangent(inputs: Inputs) -> Floats:
    """Return ``J v``."""
    d = flat(*(inputs[f"{name}_direction"] for name in CONTROLS))
    return product(propagation.jacobian(inputs), d).reshape(
        len(inputs["opening"]), *inputs["images"].shape[1:]
    )


def propagate_adjoint(inputs: Inputs) -> tuple[Floats, ...]:
    """Return ``J^T p``."""
    back = product(propagation.jacobian(inputs).T, inputs["cotangent"].ravel())
    return split(back, *(inputs[name] for name in CONTROLS))


FORMULAS: dict[str, Callable[[Inputs], Any]] = {
    "convolve": lambda inputs: operators.convolve(**inputs),
    "convolve_transpose": _convolve_transpose,
    "stencil_gradient": _stencil_gradient,
    "apply_layer": lambda inputs: layers.apply_layer(**inputs),
    "layer_tangent": layer_tangent,
    "layer_adjoint": layer_adjoint,
    "propagate": propagate,
    "propagate_tangent": propagate_tangent,
    "propagate_adjoint": propagate_adjoint,
    "basic_block": blocks.basic_block,
    "basic_block_adjoint": blocks.basic_block_adjoint,
}
