"""Checks of R and P against their taps written out, in fractions: nothing but 0 passes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import lcm, prod

import numpy as np

from refmg import StencilMap, check_galerkin, prolongation_matrix, restriction_matrix
from refmg.transfer import TRANSFERS
from refmg_validation.checks.exact import FRACTIONS, INTEGERS, unequal
from refmg_validation.checks.finding import Finding
from refmg_validation.conformance.reference.transfers import prolongation, restriction, taps_of

BOUNDARIES, FACTORS = ("periodic", "zero", "reflect"), (2, 3, 4)
COARSE = {1: (4,), 2: (4, 3)}
# R P on one axis, diagonal and neighbours.
PRODUCTS = {"linear": ("3/4", "1/8"), "average": ("1", "0"), "full-weighting": ("3/4", "1/8")}
EPS = float(np.finfo(float).eps)


def tap_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    for name, factor, boundary in product(TRANSFERS, FACTORS, BOUNDARIES):
        for coarse in COARSE.values():
            yield from against_taps(name, factor, boundary, coarse)
    for name in TRANSFERS:
        yield return_trip(name)
    rng = np.random.default_rng([seed, 22])
    for name, factor in product(TRANSFERS, (3, 4)):
        if StencilMap(3, 2, name, factor).closes:
            yield coarser(name, factor, rng)


def against_taps(name: str, factor: int, boundary: str, coarse: tuple[int, ...]) -> Iterator[Finding]:
    """Compare the integer multiples of R and P with matrices made cell by cell: values and places."""
    fine, taps = tuple(factor * n for n in coarse), taps_of(name, factor)
    label = f"{name}, {len(coarse)}-D, factor {factor}, {boundary}"
    for letter, ours, explicit, weights in (
        ("R", restriction_matrix, restriction, taps[0]),
        ("P", prolongation_matrix, prolongation, taps[1]),
    ):
        whole = lcm(*(w.denominator for w in weights.values())) ** len(coarse)
        found = ours(fine, name, factor, boundary, integer=True).toarray()
        error = unequal(found, whole * explicit(coarse, name, factor, boundary))
        yield Finding(f"{label}: {letter} has the taps of its table", error, 0.0, INTEGERS)


def return_trip(name: str) -> Finding:
    """Compare ``R P`` with the matrix of its three taps."""
    n = 5
    R, P = (
        make((2 * n,), name, integer=True).toarray() for make in (restriction_matrix, prolongation_matrix)
    )
    whole = prod(lcm(*(w.denominator for w in taps.values())) for taps in taps_of(name, 2))
    middle, side = (Fraction(text) for text in PRODUCTS[name])
    eye = np.eye(n, dtype=int)
    expected = middle * eye + side * (np.roll(eye, 1, axis=1) + np.roll(eye, -1, axis=1))
    label = f"{name}: R P = tridiag({side}, {middle}, {side})"
    return Finding(label, unequal(R @ P, whole * expected), 0.0, FRACTIONS)


def coarser(name: str, factor: int, rng: np.random.Generator) -> Finding:
    """Compare ``R K P`` in 2-D with the closed form, for factors beyond 2."""
    shape, s = (4 * factor, 3 * factor), rng.integers(-9, 10, (3, 3))
    P, R = (make(shape, name, factor) for make in (prolongation_matrix, restriction_matrix))
    report = check_galerkin(P, R, s, shape, (4, 3))
    closed = StencilMap(3, 2, name, factor).restrict(s)
    error = max(float(report.error), float(np.abs(report.stencil - closed).max()))
    # Thirds round; a sum of factor^2 * 9 products of whole numbers below 10.
    bound = 0.0 if factor == 4 else 9 * factor**2 * 10 * EPS
    remark = "dyadic numbers, exact" if factor == 4 else "10 n eps"
    return Finding(f"{name}, 2-D, factor {factor}: R K_h P is K_H of the closed form", error, bound, remark)
