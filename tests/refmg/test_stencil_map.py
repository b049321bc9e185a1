"""The map of stencils between resolutions. Rational arithmetic, compared with ``==``, wherever possible."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refmg import Derivative, derivatives
from refmg.convolution import convolution_matrix
from refmg.galerkin import coarse_operator, on_channels
from refmg.rational import identity, inverse, null_space, rank
from refmg.stencil_map import ClosureError, StencilMap, coarse_width, prolong_stencil, restrict_stencil
from refmg.transfer import TRANSFERS, Taps, TransferPair, named_pair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError

EPS = np.finfo(np.float64).eps
every_transfer = pytest.mark.parametrize("transfer", TRANSFERS)
every_factor = pytest.mark.parametrize("factor", [2, 3, 4])
every_dimension = pytest.mark.parametrize("ndim", [1, 2, 3])
every_channels = pytest.mark.parametrize("channels", [(1, 1), (2, 3)])
# Coarse grids and widths; the smallest grid has just as many cells as the stencil has taps.
GRIDS = [((3,), (3,)), ((8,), (3,)), ((5,), (5,)), ((3, 5), (3, 3)), ((4, 5), (3, 5)), ((3, 4, 3), (3, 3, 3))]
exactly = settings(max_examples=50, deadline=None, derandomize=True, database=None)
taps9 = st.lists(st.integers(-(10**6), 10**6), min_size=9, max_size=9)


def integers(*shape):
    return np.random.default_rng(len(shape)).integers(-9, 10, shape)


def fractions(values):
    """An array of Fraction, so that every map below is exact."""
    return np.vectorize(Fraction, otypes=[object])(np.asarray(values, dtype=object))


def bilinear_and_transpose(factor):
    """Linear interpolation and its scaled transpose: a pair that does not close at width 3."""
    hat = named_pair("linear", factor).prolongation
    return TransferPair(factor, Taps(hat.first, tuple(w / factor for w in hat.weights)), hat)


def scale_of(transfer, factor):
    """q_R q_P of one axis: it makes R K P an integer product."""
    pair = named_pair(transfer, factor)
    return pair.restriction.denominator * pair.prolongation.denominator


def integer_product(s, coarse, transfer, factor):
    """The explicit product, all integers: (q_R R) K (q_P P)."""
    shape = tuple(n * factor for n in coarse)
    R, P = (make(shape, transfer, factor, integer=True) for make in (restriction_matrix, prolongation_matrix))
    return on_channels(R, s.shape[0]) @ convolution_matrix(s, shape) @ on_channels(P, s.shape[1])


# --- the 1-D maps of the design -------------------------------------------------------------------

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


# --- closed form and explicit product -------------------------------------------------------------


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


# --- there and back -------------------------------------------------------------------------------

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


# --- example 1 of the paper -----------------------------------------------------------------------

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


# --- derivatives ----------------------------------------------------------------------------------

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


# --- linear, channel by channel, in the type that was given ---------------------------------------


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


@pytest.mark.parametrize(
    ("given_dtype", "result"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.int64, np.float64),
        (np.complex128, np.complex128),
    ],
)
@pytest.mark.parametrize("direction", ["restrict", "prolong"])
def test_the_type_of_the_result(direction, given_dtype, result):
    assert getattr(StencilMap(), direction)(np.ones((2, 2, 3, 3), given_dtype)).dtype == result


@pytest.mark.parametrize("shape", [(3, 3), (1, 1, 3, 3), (4, 2, 3, 3)])
@pytest.mark.parametrize("direction", ["restrict", "prolong"])
def test_the_shape_is_kept_and_the_input_unchanged(direction, shape):
    s = integers(*shape)
    kept = s.copy()
    s.setflags(write=False)
    assert getattr(StencilMap(), direction)(s).shape == shape
    assert np.array_equal(s, kept)


def test_three_axes_are_a_plain_stencil_unless_ndim_says_otherwise():
    s = fractions(integers(3, 3, 3))
    assert np.array_equal(restrict_stencil(s), StencilMap(3, 3).restrict(s))
    assert np.array_equal(restrict_stencil(s, ndim=1), StencilMap(3, 1).restrict(s))


def test_the_representation_names_width_transfer_and_factor():
    assert repr(StencilMap((3, 5), 2)) == "StencilMap(width=(3, 5), transfer='linear', factor=(2, 2))"


# --- closure and bad input ------------------------------------------------------------------------


def test_bilinear_and_its_transpose_do_not_close_at_width_three():
    with pytest.raises(ClosureError, match=r"does not close at width \(3, 3\).*needs width \(5, 5\)"):
        StencilMap(width=3, ndim=2, transfer=bilinear_and_transpose)


def test_bilinear_and_its_transpose_close_at_width_five():
    M, s = StencilMap(5, 1, bilinear_and_transpose), fractions(integers(5))
    assert M.rank == 5
    assert np.array_equal(M.prolong(M.restrict(s)), s)


def test_a_stencil_of_one_tap_closes_for_average_only():
    assert StencilMap(1, 2, "average").fractions.tolist() == [[1]]
    with pytest.raises(ClosureError, match=r"needs width \(3,\)"):
        StencilMap(1, 1, "linear")


def test_the_remedy_is_not_the_transfer_that_failed():
    with pytest.raises(ClosureError) as caught:
        StencilMap(1, 1, "linear")
    assert "such as 'linear'" not in str(caught.value)


SINGULAR = [("average", 2, 5, 3), ("linear", 2, 7, 5), ("linear", 3, 5, 3), ("full-weighting", 4, 7, 5)]
every_singular = pytest.mark.parametrize(("transfer", "factor", "width", "rank_"), SINGULAR)


@every_singular
@pytest.mark.parametrize("ndim", [1, 2])
def test_a_singular_map_says_so(transfer, factor, width, rank_, ndim):
    M = StencilMap(width, ndim, transfer, factor)
    assert M.rank == rank_**ndim
    assert M.condition_number == M.amplification == np.inf
    assert np.linalg.matrix_rank(M.matrix) == M.rank


@every_singular
def test_a_singular_map_restricts_but_does_not_prolong(transfer, factor, width, rank_):
    M, s = StencilMap(width, 1, transfer, factor), np.ones(width)
    assert M.restrict(s).sum() == pytest.approx(width, rel=width * EPS)
    with pytest.raises(ClosureError, match=f"with rank {rank_} of {width}"):
        M.prolong(s)


@pytest.mark.parametrize(("transfer", "width"), [("linear", 7), ("average", 5)])
def test_the_remedy_for_a_singular_map_works(transfer, width):
    with pytest.raises(ClosureError) as caught:
        StencilMap(width, 1, transfer).prolong(np.ones(width))
    for name in TRANSFERS:  # a pair that the message names must do what it promises
        if f"such as {name!r}" in str(caught.value):
            assert StencilMap(width, 1, name).rank == width


# --- least squares, by name -----------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [1, 2])
def test_least_squares_restricts_to_the_nearest_convolution(ndim):
    M = StencilMap(3, ndim, bilinear_and_transpose, closure="least-squares")
    s, coarse = np.random.default_rng(6).standard_normal(M.width), (6,) * ndim
    target = coarse_operator(s, fine := (12,) * ndim, bilinear_and_transpose).toarray().ravel()
    units = np.eye(s.size).reshape(-1, *M.width)
    columns = np.array([convolution_matrix(unit, coarse).toarray().ravel() for unit in units]).T
    nearest = np.linalg.lstsq(columns, target)[0]
    # The columns are orthogonal (condition 1), of n ones each: a few n eps of the target.
    assert np.abs(M.restrict(s).ravel() - nearest).max() <= np.prod(fine) * EPS * np.abs(s).sum()
    assert np.linalg.norm(columns @ nearest - target) > 0.01  # it does not close


@every_singular
@pytest.mark.parametrize("ndim", [1, 2])
def test_least_squares_prolongs_by_the_pseudoinverse(transfer, factor, width, rank_, ndim):
    M = StencilMap(width, ndim, transfer, factor, closure="least-squares")
    units = np.eye(width**ndim).reshape(-1, *M.width)
    T, Q = M.matrix, np.array([M.prolong(unit).ravel() for unit in units]).T
    assert np.linalg.matrix_rank(Q) == M.rank == rank_**ndim
    # Penrose's four conditions. Each Q is good to a few n eps |Q|^2 |T|, and is multiplied twice.
    bound = 4 * len(T) * EPS * (np.linalg.norm(Q) * np.linalg.norm(T)) ** 2 * max(np.linalg.norm(Q), 1)
    for residual in (T @ Q @ T - T, Q @ T @ Q - Q, T @ Q - (T @ Q).T, Q @ T - (Q @ T).T):
        assert np.linalg.norm(residual) <= bound


@pytest.mark.parametrize("direction", ["restrict", "prolong"])
@every_transfer
def test_least_squares_changes_nothing_where_the_pair_closes(direction, transfer):
    s = fractions(integers(3, 3))
    exact, fitted = (StencilMap(transfer=transfer, closure=name) for name in ("exact", "least-squares"))
    assert np.array_equal(getattr(exact, direction)(s), getattr(fitted, direction)(s))


@pytest.mark.parametrize("direction", ["restrict", "prolong"])
def test_least_squares_keeps_float32(direction):
    M = StencilMap(5, 2, "average", closure="least-squares")
    assert getattr(M, direction)(np.ones((5, 5), np.float32)).dtype == np.float32


def test_what_does_not_close_is_offered_least_squares():
    with pytest.raises(ClosureError, match="closure='least-squares'"):
        StencilMap(3, 2, bilinear_and_transpose)
    with pytest.raises(ClosureError, match="closure='least-squares'"):
        StencilMap(5, 2, "average").prolong(np.ones((5, 5)))


def test_another_closure_is_refused():
    with pytest.raises(
        RefmgError, match=r"unknown closure 'least-square' \(did you mean 'least-squares'\?\)"
    ):
        StencilMap(closure="least-square")


def test_closure_errors_are_value_errors():
    assert issubclass(ClosureError, RefmgError)
    assert issubclass(RefmgError, ValueError)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"width": 4}, ["found a stencil of width (4, 4)", "expected odd widths"]),
        ({"width": (3, 2)}, ["found a stencil of width (3, 2)", "expected odd widths"]),
        ({"width": (3, 3, 3)}, ["found width (3, 3, 3)", "2 of them, one per axis"]),
        ({"width": -3}, ["found width -3", "expected a positive integer"]),
        ({"factor": 0}, ["found factor 0", "expected a positive integer"]),
        ({"factor": 2.0}, ["found factor 2.0", "expected a positive integer"]),
        ({"transfer": "avarage"}, ["unknown transfer 'avarage'", "mean 'average'", "expected one of"]),
    ],
)
def test_maps_that_do_not_exist_are_refused(arguments, said):
    with pytest.raises(RefmgError) as caught:
        StencilMap(**arguments)
    assert [part for part in said if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("stencil", "said"),
    [
        (np.ones((5, 5)), ["found a stencil of width (5, 5)", "expected (3, 3)"]),
        (np.ones((2, 2)), ["found a stencil of width (2, 2)", "expected odd"]),
        (np.ones(3), ["found a stencil of shape (3,)", "expected 2 axes"]),
        (np.full((3, 3), np.nan), ["found nan", "expected finite taps"]),
    ],
)
@pytest.mark.parametrize("direction", ["restrict", "prolong"])
def test_stencils_that_do_not_fit_are_refused(direction, stencil, said):
    with pytest.raises(RefmgError) as caught:
        getattr(StencilMap(), direction)(stencil)
    assert [part for part in said if part not in str(caught.value)] == []


@pytest.mark.parametrize("stencil", [1.0, np.ones((1,) * 6)])
def test_stencils_of_no_dimension_are_refused(stencil):
    with pytest.raises(RefmgError, match=r"found a stencil with \d axes; expected"):
        restrict_stencil(stencil)


# --- the rational arithmetic underneath -----------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4])
def test_the_inverse_is_exact(n):
    A = fractions(integers(n, n) + 20 * np.eye(n, dtype=int))
    A[[0, -1]] = A[[-1, 0]]  # so that rows must be swapped
    assert np.array_equal(A @ inverse(A), identity(n))


def test_a_zero_pivot_is_swapped_away():
    A = fractions([[0, 1], [2, 0]])
    assert np.array_equal(inverse(A), fractions([[0, "1/2"], [1, 0]]))


def test_a_singular_matrix_has_no_inverse():
    A = fractions([[1, 2], [2, 4]])
    assert rank(A) == 1
    with pytest.raises(RefmgError, match="found a singular matrix of rank 1; expected rank 2"):
        inverse(A)


@every_transfer
@pytest.mark.parametrize("width", [3, 5])
def test_derivatives_are_those_of_polynomials(transfer, width):
    """Order p gives p! on x^p and nothing on lower degrees, and shrinks by 2^p."""
    found = derivatives(transfer, width)
    assert [d.order for d in found][:2] == [0, 1]
    places = [Fraction(j - width // 2) for j in range(width)]
    for d in found:
        assert isinstance(d, Derivative)
        assert d.eigenvalue == Fraction(1, 2**d.order)
        moments = [sum(s * x**q for s, x in zip(d.stencil, places, strict=True)) for q in range(d.order + 1)]
        factorial = reduce(lambda a, b: a * b, range(1, d.order + 1), 1)
        assert moments == [0] * d.order + [factorial]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([[1, 1, 0], [1, 2, 1]], 2), ([[1, 1], [1, 1], [-1, -1]], 1), ([[0, 0, 1, 1]], 1), ([[1], [-1]], 1)],
)
def test_ranks_and_null_spaces_of_matrices_that_are_not_square(rows, expected):
    A = fractions(rows)
    V = null_space(A)
    assert rank(A) == expected
    assert V.shape == (A.shape[1], A.shape[1] - expected)
    assert (A @ V == 0).all()
    assert V.shape[1] == 0 or rank(V) == V.shape[1]


@pytest.mark.parametrize("rows", [[[1, 1], [1, 2]], [[1, 1], [-1, 1]], [[0, 1], [1, 1]], [[2, 1], [1, 1]]])
def test_the_inverse_of_a_matrix_of_ones(rows):
    """Rows whose entry under the pivot is 1 or -1 are reduced as well."""
    A = fractions(rows)
    assert (inverse(A) @ A == identity(2)).all()
