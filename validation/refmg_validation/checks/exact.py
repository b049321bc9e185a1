"""Checks in integers and fractions: an error is a number of unequal entries, and only 0 passes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np

from refmg import StencilMap, check_galerkin, derivatives, prolongation_matrix, restriction_matrix
from refmg.multilevel import time_matrix
from refmg.rational import identity, inverse
from refmg.transfer import TRANSFERS
from refmg_validation.checks.finding import Finding

INTEGERS, FRACTIONS = "integers, exact", "fractions, exact"
GRIDS = {1: (16,), 2: (16, 8), 3: (8, 8, 8)}
# From and to so many layers.
DEPTHS = ((2, 4), (4, 8), (4, 12), (5, 20))


def exact_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    yield from galerkin(np.random.default_rng([seed, 21]))
    for name in TRANSFERS:
        yield from maps(name)
    for interpolation, (old, new) in product(("linear", "cubic", "constant"), DEPTHS):
        yield from time_prolongation(interpolation, old, new)


def unequal(a: object, b: object) -> float:
    """Return how many entries differ."""
    return float(np.sum(np.asarray(a) != np.asarray(b)))


def galerkin(rng: np.random.Generator) -> Iterator[Finding]:
    """Compare ``R K P`` with the closed form, for integer stencils and dyadic P and R."""
    for name, (d, shape) in product(TRANSFERS, GRIDS.items()):
        s = rng.integers(-9, 10, (3,) * d)
        P, R = prolongation_matrix(shape, name), restriction_matrix(shape, name)
        report, closed = check_galerkin(P, R, s, shape), StencilMap(3, d, name).restrict(s)
        # The product is a convolution, and the one that the closed form says.
        error = max(float(report.error), float(np.abs(report.stencil - closed).max()))
        label = f"{name}, {d}-D: R K_h P is K_H of the closed form"
        yield Finding(label, error, 0.0, "dyadic numbers, exact")


def maps(name: str) -> Iterator[Finding]:
    """Check the rational maps of single stencils: their inverses and their eigenvectors."""
    for factor in (2, 3, 4):
        stencil_map = StencilMap(3, 1, name, factor)
        if stencil_map.closes and stencil_map.rank == 3:
            T = stencil_map.fractions
            error = unequal(inverse(T) @ T, identity(3))
            yield Finding(f"{name}, factor {factor}: up after down is the identity", error, 0.0, FRACTIONS)
    for width in (3, 5):
        T = StencilMap(width, 1, name).fractions
        for d in derivatives(name, width):
            v = np.array([Fraction(x) for x in d.stencil], dtype=object)
            label = f"{name}, {width} taps: derivative of order {d.order} is an eigenvector to {d.eigenvalue}"
            yield Finding(label, unequal(T @ v, d.eigenvalue * v), 0.0, FRACTIONS)


def time_prolongation(interpolation: str, old: int, new: int) -> Iterator[Finding]:
    """Check the matrices that interpolate in time: polynomials up to the last old node, and the way back."""
    label, T = f"{interpolation} in time, {old} to {new} layers", time_matrix(old, new, interpolation)
    degree = {"constant": 0, "linear": 1, "cubic": min(3, old - 1)}[interpolation]
    t_old = np.array([Fraction(k, old) for k in range(old)], dtype=object)
    t_new = np.array([Fraction(k, new) for k in range(new)], dtype=object)
    inside = t_new <= t_old[-1]
    error = unequal((T @ t_old**degree)[inside], t_new[inside] ** degree)
    yield Finding(f"{label}: exact for degree {degree}", error, 0.0, FRACTIONS)
    back = time_matrix(new, old, interpolation)
    yield Finding(f"{label}: undone by injection", unequal(back @ T, identity(old)), 0.0, FRACTIONS)
