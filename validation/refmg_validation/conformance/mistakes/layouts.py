"""The right numbers in another layout or precision."""

from __future__ import annotations

from functools import partial
from itertools import permutations

import numpy as np

from refmg_validation.conformance.mistakes.problem import Arrays, Attempt, Attempts, Outputs, Problem

LAYOUT = "(C, n_1, .., n_d, m)"


def examples_first(p: Problem) -> Attempts:
    """Yield ``(m, C, ..)`` and ``(m, .., C)`` in place of ``(C, .., m)``."""
    told = f"examples come first; refmg has them last, {LAYOUT} and (classes, m)"
    yield Attempt("examples first", told, partial(p.all_changed, _first))
    told = f"channels come last; refmg has channels first and examples last, {LAYOUT}"
    for change in (_channels_last, _channels_before_examples):
        yield Attempt("channels last", told, partial(p.all_changed, change))


def _first(a: Arrays) -> Arrays:
    return np.moveaxis(a, -1, 0) if a.ndim > 1 else a


def _channels_last(a: Arrays) -> Arrays:
    return np.moveaxis(_first(a), 1, -1) if a.ndim > 2 else a


def _channels_before_examples(a: Arrays) -> Arrays:
    return np.moveaxis(a, 0, -2) if a.ndim > 2 else a


def other_order(p: Problem) -> Attempts:
    """Yield the axes in any other order, for all that is wrong."""
    (first, *others) = (p.case.expected[name] for name in p.wrong)
    if all(value.ndim == first.ndim for value in others):
        for order in list(permutations(range(first.ndim)))[1:]:
            told = f"the axes of {', '.join(p.wrong)} are in the order {order} of those expected"
            yield Attempt("another layout", told, partial(p.all_changed, partial(_ordered, order)))


def _ordered(order: tuple[int, ...], a: Arrays) -> Arrays:
    return np.transpose(a, order) if a.ndim == len(order) else a


def column_major(p: Problem) -> Attempts:
    """Yield numbers in the order of MATLAB, Julia and Fortran."""
    told = "the numbers are in column-major order; NumPy's C order has the last axis running fastest"
    yield Attempt("column-major order", told, partial(p.all_changed, _column_major))


def _column_major(a: Arrays) -> Arrays:
    return a.ravel(order="F").reshape(a.shape)


def flattened(p: Problem, found: Outputs) -> Attempts:
    """Yield the right numbers in an array of another shape."""
    shapes = ", ".join(f"{name} {p.case.expected[name].shape}" for name in p.wrong)
    told = f"the right numbers in the right order; expected {shapes}"
    yield Attempt("another shape", told, partial(_reshaped, p, found))


def _reshaped(p: Problem, found: Outputs) -> Outputs:
    return {name: p.case.expected[name].reshape(np.shape(found[name])) for name in p.wrong}
