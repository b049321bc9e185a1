"""Mistakes with stencils: flipped, channels transposed, axes swapped, adjoints that are none."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import permutations

import numpy as np

from refmg_validation.conformance.mistakes.problem import (
    STENCILS,
    Arrays,
    Attempt,
    Attempts,
    Change,
    Names,
    Problem,
)


def flipped(p: Problem) -> Attempts:
    """Yield convolution in place of cross-correlation."""

    def change(s: Arrays) -> Arrays:
        return np.flip(s, tuple(range(s.ndim - p.ndim, s.ndim)))

    told = "convolution where cross-correlation is meant: flip the stencil on every grid axis"
    yield from _with_stencils(p, "flipped stencil", told, change)


def transposed_channels(p: Problem) -> Attempts:
    """Yield ``(C_in, C_out, ..)`` in place of ``(C_out, C_in, ..)``."""

    def change(s: Arrays) -> Arrays:
        first = s.ndim - p.ndim - 2
        return np.swapaxes(s, first, first + 1)

    told = "C_out and C_in are exchanged: stencils are (C_out, C_in, k_1, ..)"
    yield from _with_stencils(p, "transposed channels", told, change)


def swapped_axes(p: Problem) -> Attempts:
    """Yield grid axes of stencils or of results in another order."""
    for order in list(permutations(range(p.ndim)))[1:]:
        told = f"the grid axes are in the order {tuple(a + 1 for a in order)}: they are n_1, n_2, .. as given"
        yield from _with_stencils(p, "swapped axes", told, partial(_last_axes, order))
        if not set(p.case.expected) <= set(STENCILS):
            yield Attempt("swapped axes", told, partial(p.all_changed, partial(_grid_axes, order)))


def _last_axes(order: tuple[int, ...], s: Arrays) -> Arrays:
    before = s.ndim - len(order)
    return np.transpose(s, (*range(before), *(before + a for a in order)))


def _grid_axes(order: tuple[int, ...], y: Arrays) -> Arrays:
    d = len(order)
    return np.transpose(y, (0, *(1 + a for a in order), d + 1)) if y.ndim == d + 2 else y


def _with_stencils(p: Problem, mistake: str, told: str, change: Change) -> Attempts:
    """Yield the change in all stencils given, in some, in those returned, and in both."""
    outputs = tuple(name for name in p.case.expected if name in STENCILS)
    for names in _some(p.where(STENCILS)):
        yield Attempt(mistake, told, partial(p.with_changed, names, change))
        if outputs:
            yield Attempt(mistake, told, partial(p.with_changed, names, change, outputs, change))
    if outputs:
        yield Attempt(mistake, told, partial(p.expected_but, outputs, change))


def _some(names: Names) -> Iterator[Names]:
    if names:
        yield names
    kinds = sorted({name.removesuffix("_direction") for name in names})
    if len(kinds) > 1:
        for kind in kinds:
            yield tuple(name for name in names if name.removesuffix("_direction") == kind)


def no_adjoint(p: Problem) -> Attempts:
    """Yield K, or half of its transposition, in place of ``K^T``."""
    name, expected = "not the adjoint", p.case.expected
    if p.case.function == "convolve_transpose" and np.all(np.asarray(p.inputs["stride"]) == 1):
        s, grid = p.inputs["stencil"], tuple(range(2, p.ndim + 2))
        rest = {n: p.inputs[n] for n in ("features", "boundary", "stride")}
        ways = {
            "K where K^T is meant: exchange the channels and flip the stencil": s,
            "K with its channels exchanged where K^T is meant: flip the stencil as well": s.swapaxes(0, 1),
            "K with a flipped stencil where K^T is meant: exchange the channels as well": np.flip(s, grid),
            "K with a flipped stencil and exchanged channels; with this boundary that is not K^T: what is "
            "read beyond the edge has to be added where it came from": np.flip(s, grid).swapaxes(0, 1),
        }
        for told, stencil in ways.items():
            yield Attempt(name, told, partial(p.reference, "convolve", stencil=stencil, **rest))
    if p.case.function == "layer_adjoint":
        kind = {n: p.inputs[n] for n in ("layer", "activation", "boundary", "features", "stencil", "bias")}
        zero = {f"{n}_direction": np.zeros_like(kind[n]) for n in ("stencil", "bias")}
        told = "the tangent J p where the adjoint J^T p is meant"

        def tangent() -> dict[str, Arrays]:
            features = {"features_direction": p.inputs["cotangent"]}
            return expected | p.reference("layer_tangent", **kind, **zero, **features)

        yield Attempt(name, told, tangent)
