"""The map of stencils between resolutions. Rational arithmetic, compared with ``==``, wherever possible."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stencil_map_cases import EPS, every_transfer, fractions, integers

from refmg.convolution import convolution_matrix
from refmg.galerkin import coarse_operator, on_channels
from refmg.rational import identity, rank
from refmg.stencil_map import ClosureError, StencilMap, coarse_width, prolong_stencil, restrict_stencil
from refmg.transfer import TRANSFERS, Taps, TransferPair, named_pair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError

every_factor = pytest.mark.parametrize("factor", [2, 3, 4])

every_dimension = pytest.mark.parametrize("ndim", [1, 2, 3])

every_channels = pytest.mark.parametrize("channels", [(1, 1), (2, 3)])

# Coarse grids and widths; the smallest grid has just as many cells as the stencil has taps.
GRIDS = [((3,), (3,)), ((8,), (3,)), ((5,), (5,)), ((3, 5), (3, 3)), ((4, 5), (3, 5)), ((3, 4, 3), (3, 3, 3))]

exactly = settings(max_examples=50, deadline=None, derandomize=True, database=None)

taps9 = st.lists(st.integers(-(10**6), 10**6), min_size=9, max_size=9)


def scale_of(transfer, factor):
    """q_R q_P of one axis: it makes R K P an integer product."""
    pair = named_pair(transfer, factor)
    return pair.restriction.denominator * pair.prolongation.denominator


def integer_product(s, coarse, transfer, factor):
    """The explicit product, all integers: (q_R R) K (q_P P)."""
    shape = tuple(n * factor for n in coarse)
    R, P = (make(shape, transfer, factor, integer=True) for make in (restriction_matrix, prolongation_matrix))
    return on_channels(R, s.shape[0]) @ convolution_matrix(s, shape) @ on_channels(P, s.shape[1])


LINEAR = [["1/2", "1/8", 0], ["1/2", "3/4", "1/2"], [0, "1/8", "1/2"]]

AVERAGE = [["1/2", 0, 0], ["1/2", 1, "1/2"], [0, 0, "1/2"]]

MAPS = {"linear": LINEAR, "average": AVERAGE, "full-weighting": LINEAR}

EIGENVALUES = {
    "linear": ["1", "1/2", "1/4"],
    "average": ["1", "1/2", "1/2"],
    "full-weighting": ["1", "1/2", "1/4"],
}


@every_transfer
def test_the_axis_map_is_the_design_s(transfer):
    (T,) = StencilMap(ndim=1, transfer=transfer).axis_maps
    assert np.array_equal(T, fractions(MAPS[transfer]))
    assert all(isinstance(entry, Fraction) for entry in T.ravel())


@every_transfer
def test_each_eigenvalue_has_its_eigenspace(transfer):
    (T,) = StencilMap(ndim=1, transfer=transfer).axis_maps
    expected = [Fraction(e) for e in EIGENVALUES[transfer]]
    for value in set(expected):
        assert 3 - rank(T - value * identity(3)) == expected.count(value)  # exact, and T is diagonalizable
    assert rank(T - Fraction(1, 3) * identity(3)) == 3  # not an eigenvalue


@every_transfer
@every_dimension
def test_the_eigenvalues_are_products_of_the_axes(transfer, ndim):
    axis = [float(Fraction(e)) for e in EIGENVALUES[transfer]]
    expected = np.sort(reduce(np.kron, [axis] * ndim))[::-1]
    M = StencilMap(ndim=ndim, transfer=transfer)
    # T = V D V^-1, the condition of V below 4 an axis: Bauer and Fike's bound on what a few eps |T| can do.
    bound = 4**ndim * len(expected) * EPS * np.linalg.norm(M.matrix, 2)
    assert np.abs(M.eigenvalues - expected).max() <= bound


@pytest.mark.parametrize(
    ("transfer", "printed"), [("linear", "26.853"), ("average", "10.151"), ("full-weighting", "26.853")]
)
def test_the_condition_of_the_nine_by_nine_map(transfer, printed):
    assert f"{StencilMap(width=3, ndim=2, transfer=transfer).condition_number:.3f}" == printed


@every_transfer
@every_dimension
def test_the_condition_is_the_power_of_the_axis_condition(transfer, ndim):
    axis, whole = (StencilMap(ndim=d, transfer=transfer).condition_number for d in (1, ndim))
    # Singular values are good to n_K eps |T|, the smallest one to its condition times that.
    assert abs(whole - axis**ndim) <= 3**ndim * EPS * whole**2


@every_transfer
@every_dimension
def test_the_amplification_bounds_prolong_and_is_reached(transfer, ndim):
    M = StencilMap(ndim=ndim, transfer=transfer)
    left, _, _ = np.linalg.svd(M.matrix)
    worst = left[:, -1].reshape(M.width)
    slack = 3**ndim * EPS * M.condition_number
    assert abs(np.linalg.norm(M.prolong(worst)) / M.amplification - 1) <= slack
    random = np.random.default_rng(0).standard_normal(M.width)
    assert np.linalg.norm(M.prolong(random)) <= (1 + slack) * M.amplification * np.linalg.norm(random)


@every_transfer
def test_the_matrix_is_the_rounded_kron(transfer):
    M = StencilMap(width=(3, 5), ndim=2, transfer=transfer, factor=(3, 2))
    assert np.array_equal(M.fractions, np.kron(*M.axis_maps))
    assert M.matrix.dtype == np.float64
    assert np.array_equal(M.matrix, np.vectorize(float)(M.fractions))


@every_transfer
def test_restrict_is_the_matrix_on_the_flattened_stencil(transfer):
    M, s = StencilMap((3, 5), 2, transfer, (3, 2)), fractions(integers(3, 5))
    assert np.array_equal(M.restrict(s).ravel(), M.fractions @ s.ravel())


def test_pairs_with_one_composite_have_one_map():
    weighting, linear = (StencilMap(5, 2, name) for name in ("full-weighting", "linear"))
    assert np.array_equal(weighting.fractions, linear.fractions)


@pytest.mark.parametrize(("coarse", "width"), GRIDS)
@every_transfer
@every_factor
@every_channels
def test_the_closed_form_is_the_explicit_product_in_integers(coarse, width, transfer, factor, channels):
    s, q = integers(*channels, *width), scale_of(transfer, factor) ** len(coarse)
    closed = q * StencilMap(width, len(coarse), transfer, factor).restrict(fractions(s))
    assert all(tap.denominator == 1 for tap in closed.ravel())
    difference = integer_product(s, coarse, transfer, factor) - convolution_matrix(
        closed.astype(np.int64), coarse
    )
    assert difference.dtype.kind == "i"
    assert abs(difference).max() == 0


@every_transfer
def test_the_exact_comparison_notices_one_unit(transfer):
    s, q = integers(1, 1, 3, 3), scale_of(transfer, 2) ** 2
    closed = (q * StencilMap(3, 2, transfer).restrict(fractions(s))).astype(np.int64)
    closed[0, 0, 1, 2] += 1
    assert abs(integer_product(s, (4, 5), transfer, 2) - convolution_matrix(closed, (4, 5))).max() == 1


@pytest.mark.parametrize(("coarse", "width"), GRIDS)
@every_transfer
@every_factor
def test_the_closed_form_is_the_explicit_product_in_floats(coarse, width, transfer, factor):
    s = np.random.default_rng(1).standard_normal((2, 2, *width))
    shape = tuple(n * factor for n in coarse)
    closed = convolution_matrix(restrict_stencil(s, transfer, factor, len(coarse)), coarse)
    # |R| and |P| have row sums 1. A coarse entry sums over the taps of R and of K, and of T on each axis;
    # each entry of R, P and T carries at most three roundings more.
    terms = (2 * factor) ** len(coarse) + s[0].size + sum(width) + 9
    assert abs(coarse_operator(s, shape, transfer, factor) - closed).max() <= terms * EPS * np.abs(s).sum()


@pytest.mark.parametrize("factor", [(2, 3), (4, 2)])
@pytest.mark.parametrize("width", [(3, 5), (5, 3)])
def test_anisotropic_factors_and_widths_agree_with_the_product(factor, width):
    s, coarse = np.random.default_rng(2).standard_normal(width), (5, 6)
    shape = tuple(n * f for n, f in zip(coarse, factor, strict=True))
    closed = convolution_matrix(StencilMap(width, 2, "full-weighting", factor).restrict(s), coarse)
    terms = int(np.prod(factor)) * 4 + s.size + sum(width) + 9  # as in the test above
    difference = coarse_operator(s, shape, "full-weighting", factor) - closed
    assert abs(difference).max() <= terms * EPS * np.abs(s).sum()


@every_transfer
@every_factor
@pytest.mark.parametrize("width", [1, 3, 5, 7])
def test_the_coarse_width_is_that_of_the_product(transfer, factor, width):
    # Positive taps cannot cancel, and 13 coarse cells are wider than any result here.
    row = integer_product(np.ones((1, 1, width), int), (13,), transfer, factor).toarray()[6]
    reach = int(np.abs(np.flatnonzero(row) - 6).max())
    assert coarse_width(named_pair(transfer, factor), width) == 2 * reach + 1


REGULAR = [
    ("linear", 2, (3,)),
    ("linear", 4, (3,)),
    ("linear", 2, (5, 3)),
    ("linear", 3, (3, 3)),
    ("linear", 2, (3, 3, 3)),
    ("average", 2, (1,)),
    ("average", 2, (3, 3)),
    ("average", 4, (3, 3)),
    ("average", 3, (3, 3, 3)),
    ("full-weighting", 2, (5,)),
    ("full-weighting", 4, (5, 3)),
    ("full-weighting", 3, (3, 3, 3)),
]

every_regular = pytest.mark.parametrize(("transfer", "factor", "width"), REGULAR)


@every_regular
@every_channels
def test_there_and_back_is_the_identity_in_fractions(transfer, factor, width, channels):
    M, s = StencilMap(width, len(width), transfer, factor), fractions(integers(*channels, *width))
    assert np.array_equal(M.prolong(M.restrict(s)), s)
    assert np.array_equal(M.restrict(M.prolong(s)), s)


@every_regular
@every_channels
def test_there_and_back_is_the_identity_in_floats(transfer, factor, width, channels):
    M = StencilMap(width, len(width), transfer, factor)
    s = np.random.default_rng(3).standard_normal((*channels, *width))
    # Each of the two maps is off by at most (n_K + 2) eps/2 in every product of moduli, whose norm is
    # at most n_K times the 2-norm; the inverse multiplies the first error by |T^-1|.
    n = int(np.prod(width))
    bound = n * (n + 2) * EPS * M.condition_number * np.linalg.norm(s)
    assert np.linalg.norm(M.prolong(M.restrict(s)) - s) <= bound


def test_another_pair_does_not_lead_back():
    s = fractions(integers(3, 3))
    assert not np.array_equal(prolong_stencil(restrict_stencil(s, "linear"), "average"), s)


@every_regular
def test_the_prolonged_stencil_satisfies_the_galerkin_identity(transfer, factor, width):
    s = np.random.default_rng(4).standard_normal(width)
    M, coarse = StencilMap(width, len(width), transfer, factor), tuple(k + 1 for k in width)
    fine = M.prolong(s)
    product = coarse_operator(fine, tuple(n * factor for n in coarse), transfer, factor)
    # As for the product in floats, with the error of prolong seen through the map again.
    n = int(np.prod(width))
    terms = (2 * factor) ** len(width) + n + sum(width) + 9 + n * (n + 2)
    bound = terms * EPS * M.condition_number * (np.abs(fine).sum() + np.abs(s).sum())
    assert abs(product - convolution_matrix(s, coarse)).max() <= bound


FINE = fractions([["-0.89", "-2.03", "4.30"], ["-2.07", "0.00", "-2.07"], ["4.39", "-2.03", "1.28"]])

PRINTED = fractions([["-0.48", "-0.17", "0.82"], ["-0.15", "-0.80", "0.37"], ["0.84", "0.40", "0.07"]])

COARSE = fractions(
    [["-0.47875", "-0.1675", "0.81875"], ["-0.155", "-0.805", "0.365"], ["0.84125", "0.3975", "0.06375"]]
)


@pytest.mark.parametrize("transfer", ["linear", "full-weighting"])
def test_example_one(transfer):
    found = restrict_stencil(FINE, transfer)
    assert np.array_equal(found, COARSE)
    assert np.abs(found - PRINTED).max() == Fraction("0.00625")


def test_example_one_is_not_made_with_average():
    assert np.abs(restrict_stencil(FINE, "average") - PRINTED).max() > Fraction("0.25")


def test_example_one_in_floats_is_rounded_by_a_few_eps():
    found = restrict_stencil(FINE.astype(float))
    # The taps are rounded once, and two axes with three products each of entries that are exact.
    assert np.abs(found - COARSE.astype(float)).max() <= 4 * EPS * np.abs(FINE.astype(float)).sum()


@pytest.mark.parametrize(("transfer", "width"), [("average", 5), ("linear", 3)])
def test_prolonging_by_least_squares_in_one_call(transfer, width):
    s = np.random.default_rng(9).standard_normal((width, width))
    M = StencilMap(width, 2, transfer, closure="least-squares")
    assert np.array_equal(prolong_stencil(s, transfer, method="least-squares"), M.prolong(s))
    with pytest.raises(RefmgError, match="unknown closure 'lsq'"):
        prolong_stencil(s, transfer, method="lsq")


def test_prolonging_by_least_squares_takes_pairs_that_do_not_close():
    def pair(factor):
        hat = named_pair("linear", factor).prolongation
        return TransferPair(factor, Taps(hat.first, tuple(w / factor for w in hat.weights)), hat)

    with pytest.raises(ClosureError, match="does not close"):
        prolong_stencil([1.0, 0.0, -1.0], pair)
    fitted = prolong_stencil([1.0, 0.0, -1.0], pair, method="least-squares")
    assert np.array_equal(fitted, StencilMap(3, 1, pair, closure="least-squares").prolong([1.0, 0.0, -1.0]))


DERIVATIVES = {1: [-1, 0, 1], 2: [1, -2, 1]}


@pytest.mark.parametrize("transfer", ["linear", "full-weighting"])
@every_factor
@pytest.mark.parametrize("order", DERIVATIVES)
def test_derivatives_shrink_by_the_factor_to_their_order(transfer, factor, order):
    s = fractions(DERIVATIVES[order])
    assert np.array_equal(restrict_stencil(s, transfer, factor), s / factor**order)


@pytest.mark.parametrize("orders", [(1, 1), (1, 2), (2, 2)])
def test_mixed_derivatives_shrink_by_their_total_order(orders):
    s = fractions(np.outer(*(DERIVATIVES[p] for p in orders)))
    assert np.array_equal(restrict_stencil(s), s / 2 ** sum(orders))
    assert np.array_equal(prolong_stencil(s), s * 2 ** sum(orders))


def test_the_fifth_width_keeps_the_third_derivative():
    s = fractions([-1, 2, 0, -2, 1])
    assert np.array_equal(restrict_stencil(s), s / 8)


def test_average_scales_the_second_derivative_like_a_first_one():
    s = fractions(DERIVATIVES[2])
    assert np.array_equal(restrict_stencil(s, "average"), s / 2)


@every_transfer
@every_factor
def test_the_sum_of_the_taps_is_kept(transfer, factor):
    s = fractions(integers(3, 3))
    assert restrict_stencil(s, transfer, factor).sum() == s.sum()  # what a constant image sees


@exactly
@given(s=taps9, t=taps9, a=st.fractions(max_denominator=1000), transfer=st.sampled_from(sorted(TRANSFERS)))
def test_both_directions_are_linear(s, t, a, transfer):
    s, t = (fractions(taps).reshape(3, 3) for taps in (s, t))
    for move in (restrict_stencil, prolong_stencil):
        assert np.array_equal(move(a * s + t, transfer), a * move(s, transfer) + move(t, transfer))


@exactly
@given(s=taps9, transfer=st.sampled_from(sorted(TRANSFERS)), factor=st.integers(2, 7))
def test_there_and_back_for_any_taps_and_factor(s, transfer, factor):
    s = fractions(s).reshape(3, 3)
    assert np.array_equal(prolong_stencil(restrict_stencil(s, transfer, factor), transfer, factor), s)


@every_dimension
@pytest.mark.parametrize("move", [restrict_stencil, prolong_stencil])
def test_channels_are_moved_one_by_one(move, ndim):
    s = fractions(integers(2, 3, *(3,) * ndim))
    each = [[move(s_oc, ndim=ndim) for s_oc in s_o] for s_o in s]
    assert np.array_equal(move(s, ndim=ndim), np.array(each, dtype=object))
