"""Mistakes of scale: h^d, 2^d, dt, means and sums, signs."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from refmg.regularization import second_difference
from refmg_validation.conformance.mistakes.problem import Attempt, Attempts, Outputs, Problem, times
from refmg_validation.conformance.reference.arithmetic import floats, product
from refmg_validation.conformance.reference.transfers import prolongation, restriction

SUMMED = ("value", "features", "W", "mu", "opening", "stencils", "biases")


def cell_volume(p: Problem) -> Attempts:
    """Yield h^d left out of the logits or of a gradient, and there twice."""
    if not p.has("W") or p.case.function in ("weight_regularizer", "switch_level"):
        return
    volume = 1 / prod(p.cells)
    for mistake, found, c in (
        ("missing h^d", "h^d is left out", 1 / volume),
        ("double h^d", "h^d is there twice", volume),
    ):
        told = f"{found}: the logits are h^d W^T y + mu, h^d the volume of a cell"
        yield Attempt(mistake, told, partial(p.with_changed, p.where(("W",)), times(c)))
        # Of the same wrong formula: where W is differentiated, and where it is stepped.
        for back in (c, 1 / c):
            yield Attempt(
                mistake, told, partial(p.with_changed, p.where(("W",)), times(c), ("W",), times(back))
            )
        told = f"{found} in a gradient: those of h^d W^T y are h^d y g^T and h^d W g"
        for names in (("W",), ("features",), ("W", "features"), ("W", "value")):
            yield Attempt(mistake, told, partial(p.expected_but, names, times(c)))


def spacing(p: Problem) -> Attempts:
    """Yield differences that are not divided by h, and sums that are not multiplied by h^d."""
    if p.case.function != "weight_regularizer":
        return
    for power, told in ((0, "differences are not divided by h"), (1, "h where h^2 is meant"), (2, "")):
        for volume in (True, False):
            told_all = ", ".join(filter(None, (told, "" if volume else "h^d is left out")))
            if told_all:
                mistake = "missing h" if volume else "missing h^d"
                told_all += ": the regulariser is alpha_W / 2 h^d |grad_h W|^2"
                yield Attempt(mistake, told_all, partial(_roughness, p, power, volume))


def _roughness(p: Problem, power: int, volume: bool) -> Outputs:
    W, scale = p.inputs["W"], p.number("alpha_W") / (prod(p.cells) if volume else 1)
    squares = (n**power * second_difference(np, W, axis) for axis, n in enumerate(p.cells, start=1))
    gradient = scale * np.asarray(sum(squares))
    return {"value": np.asarray(0.5 * np.sum(W * gradient)), "W": gradient}


def transfer_factor(p: Problem) -> Attempts:
    """Yield R in place of ``P^T`` and the other way round, or a factor 2^d too much."""
    if not p.has("transfer", "factor"):
        return
    factor = tuple(int(f) for f in np.broadcast_to(np.asarray(p.inputs["factor"]), (p.ndim,)))
    cells = prod(factor)
    told = f"off by {cells}, the fine cells in a coarse one: R is a mean, P keeps constants"
    for c in (cells, 1 / cells):
        yield Attempt("R and P^T confused", told, partial(p.all_changed, times(c)))
    told = "P^T where R is meant, or R^T where P is meant"
    for c in (1, cells, 1 / cells):
        yield Attempt("R and P^T confused", told, partial(_transposed, p, factor, c))


def _transposed(p: Problem, factor: tuple[int, ...], scale: float) -> Outputs:
    transfer, boundary = p.inputs["transfer"], p.inputs["boundary"]
    y, down = p.inputs["features"], p.case.function == "restrict_features"
    if p.case.function not in ("restrict_features", "prolong_features"):
        raise ValueError("no R or P alone")
    cells = y.shape[1:-1]
    coarse = tuple(n // f for n, f in zip(cells, factor, strict=True)) if down else cells
    out = coarse if down else tuple(f * n for f, n in zip(factor, coarse, strict=True))
    matrix = floats((prolongation if down else restriction)(coarse, transfer, factor, boundary)).T
    flat = y.reshape(y.shape[0], -1, y.shape[-1])
    return {"features": scale * np.stack([product(matrix, part).reshape(*out, -1) for part in flat])}


def mean_or_sum(p: Problem) -> Attempts:
    """Yield sums over examples, or means of means."""
    if p.has("labels"):
        m, told = p.examples, "the sum over the examples: the loss is their mean"
        yield Attempt("sum, not mean", told, partial(p.expected_but, SUMMED, times(m)))
        told = "divided by the number of examples twice"
        yield Attempt("mean taken twice", told, partial(p.expected_but, SUMMED, times(1 / m)))


def sign(p: Problem) -> Attempts:
    """Yield a minus that is missing or too much."""
    yield Attempt("missing minus", "the right numbers with the other sign", partial(p.all_changed, times(-1)))


def divided_weights(p: Problem) -> Attempts:
    """Yield weights of the classifier divided, or multiplied, by the cells at a switch of level."""
    if p.case.function != "switch_level":
        return
    cells = prod(int(n) for n in p.inputs["shape"]) / prod(p.cells)
    told = "W is a function on the grid, W_h = P W_H, since logits carry h^d"
    for c, how in ((1 / cells, "divided"), (cells, "multiplied")):
        name = f"{how} weights"
        mistake = f"W is {how} by {cells:g}, the fine cells in a coarse one: {told}"
        yield Attempt(name, mistake, partial(p.expected_but, ("W",), times(c)))


def half_a_square(p: Problem) -> Attempts:
    """Yield a factor 1/2 that is missing or there twice, in what is half a square."""
    squares = p.case.function.endswith("_regularizer") or p.inputs.get("loss") in ("least-squares", "svm")
    for c in (2.0, 0.5) if squares else ():
        told = f"{c:g} times what is expected: this is half a square"
        yield Attempt("factor 1/2", told, partial(p.expected_but, _values(p), times(c)))


def _values(p: Problem) -> tuple[str, ...]:
    """Return the outputs that a factor of the loss multiplies."""
    return tuple(name for name in p.case.expected if name != "logits")


def factor_two(p: Problem) -> Attempts:
    """Yield the double or the half of everything."""
    for c in (2.0, 0.5):
        yield Attempt("factor 2", f"{c:g} times what is expected", partial(p.all_changed, times(c)))
