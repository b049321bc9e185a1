"""Symbols against explicit periodic matrices, and eigenvectors in fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import comb, factorial

import numpy as np
import pytest

from refmg.axis_map import axis_map
from refmg.convolution import convolution_matrix
from refmg.covariance import PowerLaw
from refmg.derivatives import derivatives, reproduced_degree
from refmg.galerkin import coarse_operator
from refmg.local_fourier import aliases, galerkin_symbol, stencil_symbol, symbol_error, transfer_symbols
from refmg.predictive_map import PredictiveMap
from refmg.rational import identity, null_space, rank
from refmg.stencil_map import StencilMap
from refmg.transfer import TRANSFERS, Taps, TransferPair, named_pair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError

EPS = np.finfo(np.float64).eps
every_transfer = pytest.mark.parametrize("transfer", TRANSFERS)
GRIDS = [((12,), (2,)), ((12,), (3,)), ((8, 6), (2, 2)), ((8, 9), (4, 3)), ((6, 5), (2, 1))]
every_grid = pytest.mark.parametrize(("shape", "factor"), GRIDS)


def waves(shape):
    """All images exp(i theta x) as columns, in the order of numpy.fft.fftfreq."""
    return (
        np.fft.ifftn(
            np.eye(size := int(np.prod(shape))).reshape(*shape, size), axes=range(len(shape))
        ).reshape(size, size)
        * size
    )


def coarse_of(shape, factor):
    return tuple(n // f for n, f in zip(shape, factor, strict=True))


@every_grid
def test_the_symbol_is_the_eigenvalue(shape, factor):
    s = np.random.default_rng(0).standard_normal((3,) * len(shape))
    K, F = convolution_matrix(s, shape), waves(shape)
    expected = F * stencil_symbol(s, shape).ravel()
    assert np.abs(K @ F - expected).max() <= 8 * F.size * EPS * np.abs(s).sum()


@every_grid
@every_transfer
def test_r_and_p_have_these_symbols(shape, factor, transfer):
    r, p = transfer_symbols(shape, transfer, factor)
    R, P = (make(shape, transfer, factor) for make in (restriction_matrix, prolongation_matrix))
    F, coarse = waves(shape), coarse_of(shape, factor)
    F_H = waves(coarse)
    bound = 8 * F.size * EPS
    numbers = list(np.ndindex(*shape))
    for column, number in enumerate(numbers):
        alias = tuple(k % n for k, n in zip(number, coarse, strict=True))
        expected = r.ravel()[column] * F_H[:, np.ravel_multi_index(alias, coarse)]
        assert np.abs(R @ F[:, column] - expected).max() <= bound
    for column, number in enumerate(np.ndindex(*coarse)):
        fine = [np.ravel_multi_index(alias, shape) for alias in aliases(number, coarse, factor)]
        expected = F[:, fine] @ p.ravel()[fine]
        assert np.abs(P @ F_H[:, column] - expected).max() <= bound


@every_grid
@every_transfer
def test_the_galerkin_symbol_is_the_eigenvalue_of_the_explicit_product(shape, factor, transfer):
    s = np.random.default_rng(1).standard_normal((1,) * len(shape))  # fits every coarse grid
    coarse = coarse_of(shape, factor)
    if min(coarse) >= 3:
        s = np.random.default_rng(1).standard_normal((3,) * len(shape))
    A, F_H = coarse_operator(s, shape, transfer, factor), waves(coarse)
    expected = F_H * galerkin_symbol(s, shape, transfer, factor).ravel()
    assert np.abs(A @ F_H - expected).max() <= 16 * np.prod(shape) ** 2 * EPS * np.abs(s).sum()


@every_transfer
@pytest.mark.parametrize("channels", [(1, 1), (2, 3)])
def test_the_restricted_stencil_has_the_galerkin_symbol(transfer, channels):
    s = np.random.default_rng(2).standard_normal((*channels, 3, 3))
    found = stencil_symbol(StencilMap(transfer=transfer).restrict(s), (6, 4))
    bound = 64 * 9 * EPS * np.abs(s).sum()
    assert np.abs(found - galerkin_symbol(s, (12, 8), transfer)).max() <= bound
    assert np.abs(found - stencil_symbol(s, (6, 4))).max() > 0.1


@every_grid
def test_the_symbol_error_is_that_of_the_explicit_responses(shape, factor):
    rng, coarse = np.random.default_rng(3), coarse_of(shape, factor)
    s_h, s_H = rng.standard_normal((2, *(1 if n < 3 else 3 for n in coarse)))
    R, F = restriction_matrix(shape, factor=factor), waves(shape)
    difference = convolution_matrix(s_H, coarse) @ R @ F - R @ convolution_matrix(s_h, shape) @ F
    # |R e| is the same in every coarse cell, so is the difference.
    expected = np.abs(difference).max(axis=0)
    bound = 16 * F.size * EPS * (np.abs(s_h).sum() + np.abs(s_H).sum())
    assert np.abs(symbol_error(s_h, s_H, shape, factor=factor).ravel() - expected).max() <= bound


def test_the_predictive_map_minimises_the_weighted_symbol_error():
    law = PowerLaw(2.0, constant=1.0)
    M, s = PredictiveMap(law), np.random.default_rng(4).standard_normal((3, 3))
    power = law.power((64, 64))

    def mean_square(s_H):
        return float(np.mean(power * symbol_error(s, s_H, (64, 64))[0, 0] ** 2))

    best = mean_square(M.restrict(s))
    energy = s.ravel() @ M.moments.fine @ s.ravel()
    assert abs(best / energy - M.relative_error(s, M.restrict(s))) <= 1e4 * EPS
    for step in np.random.default_rng(5).standard_normal((20, 3, 3)):
        assert mean_square(M.restrict(s) + 1e-3 * step) > best


# --- eigenvectors ----------------------------------------------------------------------------------


@every_transfer
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_derivatives_are_exact_eigenvectors(transfer, factor):
    T, places = axis_map(named_pair(transfer, factor), 3), np.array([Fraction(j) for j in (-1, 0, 1)])
    found = derivatives(transfer, 3, factor)
    assert [d.order for d in found] == ([0, 1] if transfer == "average" else [0, 1, 2])
    for d in found:
        assert d.eigenvalue == Fraction(1, factor**d.order)
        assert np.array_equal(T @ d.stencil, d.eigenvalue * d.stencil)
        for q in range(d.order + 1):
            assert np.sum(places**q * d.stencil) == (factorial(q) if q == d.order else 0)


def test_the_cubic_b_spline_is_the_mean_that_linear_keeps():
    mean, slope, bend = (list(d.stencil) for d in derivatives("linear"))
    assert mean == [Fraction(1, 6), Fraction(2, 3), Fraction(1, 6)]
    assert slope == [Fraction(-1, 2), 0, Fraction(1, 2)]
    assert bend == [1, -2, 1]


def around_every_cell(pair, q, cells):
    """R, applied around every fine cell, to P of the coarse polynomial X^q."""
    p, f = dict(pair.prolongation.items()), pair.factor

    def prolonged(i):
        reach = range((i - max(p)) // f - 1, (i - min(p)) // f + 2)
        return sum(p.get(i - f * J, Fraction(0)) * J**q for J in reach)

    return [sum(r * prolonged(j + a) for a, r in pair.restriction.items()) for j in cells]


def differences(values, order):
    for _ in range(order):
        values = [b - a for a, b in pairwise(values)]
    return values


def share(ones_in_r):
    """Return a pair with four factors 1 + z, so many of them in R."""

    def pair(factor):
        r, p = ([Fraction(comb(n, k)) for k in range(n + 1)] for n in (ones_in_r, 4 - ones_in_r))
        restriction = Taps(0, tuple(w / 2**ones_in_r for w in r))
        return TransferPair(factor, restriction, Taps(-1, tuple(2 * w / 2 ** (4 - ones_in_r) for w in p)))

    return pair


@pytest.mark.parametrize(
    ("transfer", "factor", "degree"),
    [
        *(("average", f, 1) for f in (2, 3, 4)),
        *(("full-weighting", f, 3) for f in (2, 3, 4)),
        ("linear", 2, 3),
        ("linear", 3, 2),
        ("linear", 4, 2),
        *((share(n), 2, 3) for n in range(5)),
    ],
)
def test_sums_are_polynomials_around_every_cell_up_to_the_degree(transfer, factor, degree):
    assert reproduced_degree(transfer, factor) == degree
    pair, cells = named_pair(transfer, factor), range(-9, 10)
    T = axis_map(pair, 7, 13)
    for q in range(degree + 2):
        g = around_every_cell(pair, q, cells)
        # A polynomial of degree q: differences of order q are constant, q! times its leading coefficient.
        assert (set(differences(g, q)) == {Fraction(factorial(q), factor**q)}) == (q <= degree)
        # The same sums from the map, whose columns are c_{fJ-j}.
        assert [sum(J**q * c for J, c in zip(range(-6, 7), column, strict=True)) for column in T.T] == g[6:13]


def test_keeping_polynomials_is_not_enough():
    pair, cells = named_pair("average", 2), range(-8, 9)
    for q in range(6):
        kept = around_every_cell(pair, q, cells)[::2]
        assert kept == [J**q for J in range(-4, 5)]  # R P = I
    assert reproduced_degree("average", 2) == 1
    T = axis_map(pair, 3)
    quarter = T - Fraction(1, 4) * np.array([[Fraction(i == j) for j in range(3)] for i in range(3)])
    assert null_space(quarter).shape[1] == 0


def test_no_degree_for_a_prolongation_that_forgets_cells():
    assert (
        reproduced_degree(lambda f: TransferPair(f, Taps(0, (Fraction(1),)), Taps(0, (Fraction(2),)))) == -1
    )
    with pytest.raises(RefmgError, match="found factor 1; expected 2"):
        reproduced_degree("linear", 1)


def test_five_taps_give_the_third_derivative_and_no_fourth():
    assert [d.order for d in derivatives("linear", 5)] == [0, 1, 2, 3]
    assert [str(tap) for tap in derivatives("linear", 5)[3].stencil] == ["-1/2", "1", "0", "-1", "1/2"]


def test_the_null_space_is_exact():
    A = np.array([[Fraction(a) for a in row] for row in ([1, 2, 3], [2, 4, 6], [0, 0, 1])])
    V = null_space(A)
    assert V.shape == (3, 3 - rank(A))
    assert not (A @ V).any()
    assert null_space(identity(2)).shape == (2, 0)


# --- composites ------------------------------------------------------------------------------------


def power_of_one_plus_z(n):
    taps = [Fraction(1)]
    for _ in range(n):
        taps = [a + b for a, b in zip([*taps, Fraction(0)], [Fraction(0), *taps], strict=True)]
    return taps


def splits():
    """All ways to share the four factors (1 + z) of the composite of Example 1 between R and P."""
    for a in range(5):
        r, p = power_of_one_plus_z(a), power_of_one_plus_z(4 - a)
        R = Taps(0, tuple(w / 2**a for w in r))
        P = Taps(a - 2, tuple(w * Fraction(2, 2 ** (4 - a)) for w in p))
        yield TransferPair(2, R, P)


def test_five_pairs_have_the_composite_of_example_one():
    composite = named_pair("linear", 2).composite()
    pairs = list(splits())
    assert [pair.composite() for pair in pairs] == [composite] * 5
    assert pairs[1] == named_pair("linear", 2)
    weighting = named_pair("full-weighting", 2)  # the same taps, R and P shifted alike
    assert (pairs[2].restriction.weights, pairs[2].prolongation.weights) == (
        weighting.restriction.weights,
        weighting.prolongation.weights,
    )
    assert weighting.composite() == composite
    assert named_pair("average", 2).composite() != composite


def test_none_of_them_has_rp_equal_to_one():
    for pair in splits():
        own = lambda factor, pair=pair: pair  # noqa: E731
        R, P = (make((12,), own) for make in (restriction_matrix, prolongation_matrix))
        expected = convolution_matrix([1.0, 6.0, 1.0], (6,)) / 8
        assert abs(R @ P - expected).max() == 0
