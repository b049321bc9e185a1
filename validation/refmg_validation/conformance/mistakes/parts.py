"""Parts that were forgotten, or taken for each other."""

from __future__ import annotations

from functools import partial

import numpy as np

from refmg_validation.conformance.mistakes.problem import Arrays, Attempt, Attempts, Names, Problem

BIASES, IN_TIME = ("bias", "biases"), ("stencils", "biases")
PARAMETERS = ("stencil", "stencils", *BIASES)
STATES = ("features", "opening", "cotangent", "W")


def missing_bias(p: Problem) -> Attempts:
    """Yield layers without bias, logits without mu, tangents without their directions."""
    for kind, told in (
        (BIASES, "sigma(K y) where sigma(K y + b) is meant"),
        (("mu",), "h^d W^T y where h^d W^T y + mu is meant"),
    ):
        names = p.where(kind)
        alone = tuple(name for name in names if name.endswith("_direction"))
        for some, which in ((names, told), (alone, "the derivative by the bias is left out")):
            if some:
                yield Attempt("missing bias", which, partial(p.with_changed, some, np.zeros_like))


def swapped_halves(p: Problem) -> Attempts:
    """Yield the two halves of a Hamiltonian layer in each other's place."""
    if p.inputs.get("layer") != "hamiltonian":
        return
    for kind, told in (
        (PARAMETERS, "K_1 and b_1, the first half of the stencils and biases, move y"),
        (("stencil", "stencils"), "K_1, the first half of the stencils, moves y"),
        (BIASES, "b_1, the first half of the biases, moves y"),
        (STATES, "y is the first half of the channels, z the second"),
    ):
        yield Attempt("swapped halves", told, partial(_swapped, p, kind))
    told = "y is the first half of the channels that come out, z the second"
    yield Attempt("swapped halves", told, partial(_only_outputs, p))


def _swapped(p: Problem, kind: Names) -> dict[str, Arrays]:
    names = p.where(kind)
    found = p.reference(**{name: _halves(name, p.inputs[name]) for name in names})
    return {name: _halves(name, a) if name in kind else a for name, a in found.items()}


def _only_outputs(p: Problem) -> dict[str, Arrays]:
    return {name: _halves(name, a) if name in STATES else a for name, a in p.case.expected.items()}


def _halves(name: str, a: Arrays) -> Arrays:
    axis = 1 if name.removesuffix("_direction") in IN_TIME else 0
    return np.roll(a, a.shape[axis] // 2, axis)
