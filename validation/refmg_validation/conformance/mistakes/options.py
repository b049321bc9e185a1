"""Mistakes of choice: another boundary, another pair R, P, another activation or loss; cells of a stride."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from refmg_backends import BOUNDARIES
from refmg_validation.conformance.grading import named_outputs
from refmg_validation.conformance.mistakes.problem import Attempt, Attempts, Outputs, Problem
from refmg_validation.conformance.reference.formulas import FORMULAS

CHOICES = {
    "transfer": ("linear", "average", "full-weighting"),
    "integrator": ("euler", "rk4", "leapfrog", "verlet"),
    "activation": ("tanh", "relu", "smooth-relu", "identity"),
    "layer": ("residual", "symmetric", "hamiltonian"),
    "loss": ("softmax", "least-squares", "logistic", "svm", "hinge"),
}


def wrong_boundary(p: Problem) -> Attempts:
    """Yield another boundary, PyTorch's ``"reflect"`` among them."""
    if not p.has("boundary"):
        return
    asked = p.inputs["boundary"]
    for other in BOUNDARIES:
        if other != asked:
            told = f"as with the boundary {other!r}; {asked!r} is asked for"
            yield Attempt("wrong boundary", told, partial(p.reference, boundary=other))
    told = (
        "as with a mirror through the centre of the edge cell, PyTorch's and NumPy's 'reflect'; "
        f"{asked!r} is asked for, and refmg's 'reflect' repeats the edge cell"
    )
    if asked == "reflect":
        yield Attempt("wrong boundary", told, partial(_mirrored, p))


def _mirrored(p: Problem) -> Outputs:
    """Return what the formulas give on a grid continued by the other mirror."""
    function = FORMULAS.get(p.case.function)
    if function is None:
        raise ValueError("no formula that takes the mirror")
    return named_outputs(p.case, function(p.inputs | {"boundary": "mirror"}))


def another_choice(p: Problem) -> Attempts:
    """Yield another pair, integrator, activation, layer or loss than the one asked for."""
    for name, choices in CHOICES.items():
        for other in choices:
            if p.has(name) and other != p.inputs[name]:
                told = f"as with {name} = {other!r}; {p.inputs[name]!r} is asked for"
                yield Attempt(f"wrong {name}", told, partial(p.reference, **{name: other}))


def stride_offset(p: Problem) -> Attempts:
    """Yield cells kept from an offset on."""
    strides = np.broadcast_to(np.asarray(p.inputs.get("stride", 1)), (p.ndim,))
    if p.case.function != "convolve" or max(strides, default=1) < 2:
        return
    for offset in range(1, max(strides)):
        told = f"the cells from number {offset} on are kept: output cell o is centred at cell o * stride"
        yield Attempt("wrong cells of the stride", told, partial(_every, p, offset, strides))


def _every(p: Problem, offset: int, strides: NDArray[np.integer]) -> Outputs:
    y = p.reference(stride=1)["features"]
    kept = [slice(min(offset, int(t) - 1), None, int(t)) for t in strides]
    return {"features": y[(slice(None), *kept, slice(None))]}
