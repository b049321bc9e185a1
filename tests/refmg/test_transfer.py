"""R and P against matrices written by hand, and the properties that the paper asks of them."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from scipy import sparse

from refmg.transfer import TRANSFERS, Taps, TransferPair, coarse_shape, named_pair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError

EPS = np.finfo(np.float64).eps
every_transfer = pytest.mark.parametrize("transfer", TRANSFERS)
every_factor = pytest.mark.parametrize("factor", [2, 3, 4])
every_boundary = pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
every_matrix = pytest.mark.parametrize("make", [restriction_matrix, prolongation_matrix])


def denominators(transfer, factor, ndim=1):
    """(q_R, q_P), the integers that make R and P integer matrices."""
    pair = named_pair(transfer, factor)
    return pair.restriction.denominator**ndim, pair.prolongation.denominator**ndim


def integer_pair(shape, transfer, factor, boundary="periodic"):
    arguments = (shape, transfer, factor, boundary)
    return tuple(
        make(*arguments, integer=True).toarray() for make in (restriction_matrix, prolongation_matrix)
    )


def tridiagonal(n, side, centre):
    identity = np.eye(n, dtype=np.int64)
    return centre * identity + side * (np.roll(identity, 1, axis=1) + np.roll(identity, -1, axis=1))


# --- matrices by hand -----------------------------------------------------------------------------

AVERAGING = [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]
BY_HAND_R = {  # n = 6, times the denominator 2 or 4
    ("linear", "periodic"): AVERAGING,
    ("linear", "zero"): AVERAGING,
    ("linear", "reflect"): AVERAGING,
    ("average", "periodic"): AVERAGING,
    ("average", "zero"): AVERAGING,
    ("average", "reflect"): AVERAGING,
    ("full-weighting", "periodic"): [[2, 1, 0, 0, 0, 1], [0, 1, 2, 1, 0, 0], [0, 0, 0, 1, 2, 1]],
    ("full-weighting", "zero"): [[2, 1, 0, 0, 0, 0], [0, 1, 2, 1, 0, 0], [0, 0, 0, 1, 2, 1]],
    ("full-weighting", "reflect"): [[3, 1, 0, 0, 0, 0], [0, 1, 2, 1, 0, 0], [0, 0, 0, 1, 2, 1]],
}
INJECTION = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
BY_HAND_P = {  # n = 6, times the denominator 4, 1 or 2
    ("linear", "periodic"): [[3, 0, 1], [3, 1, 0], [1, 3, 0], [0, 3, 1], [0, 1, 3], [1, 0, 3]],
    ("linear", "zero"): [[3, 0, 0], [3, 1, 0], [1, 3, 0], [0, 3, 1], [0, 1, 3], [0, 0, 3]],
    ("linear", "reflect"): [[4, 0, 0], [3, 1, 0], [1, 3, 0], [0, 3, 1], [0, 1, 3], [0, 0, 4]],
    ("average", "periodic"): INJECTION,
    ("average", "zero"): INJECTION,
    ("average", "reflect"): INJECTION,
    ("full-weighting", "periodic"): [[2, 0, 0], [1, 1, 0], [0, 2, 0], [0, 1, 1], [0, 0, 2], [1, 0, 1]],
    ("full-weighting", "zero"): [[2, 0, 0], [1, 1, 0], [0, 2, 0], [0, 1, 1], [0, 0, 2], [0, 0, 1]],
    ("full-weighting", "reflect"): [[2, 0, 0], [1, 1, 0], [0, 2, 0], [0, 1, 1], [0, 0, 2], [0, 0, 2]],
}


@every_transfer
@every_boundary
def test_r_is_the_matrix_by_hand(transfer, boundary):
    R = restriction_matrix((6,), transfer, 2, boundary)
    assert np.array_equal(R.toarray() * denominators(transfer, 2)[0], BY_HAND_R[transfer, boundary])


@every_transfer
@every_boundary
def test_p_is_the_matrix_by_hand(transfer, boundary):
    P = prolongation_matrix((6,), transfer, 2, boundary)
    assert np.array_equal(P.toarray() * denominators(transfer, 2)[1], BY_HAND_P[transfer, boundary])


def test_factor_three_by_hand():
    R, P = integer_pair((6,), "linear", 3, "reflect")
    assert R.tolist() == [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]
    assert P.tolist() == [[3, 0], [3, 0], [2, 1], [1, 2], [0, 3], [0, 3]]


def test_factor_four_by_hand():
    R, P = integer_pair((8,), "linear", 4, "zero")
    assert R.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]]
    assert P.tolist() == [[5, 0], [7, 0], [7, 1], [5, 3], [3, 5], [1, 7], [0, 7], [0, 5]]


def test_taps_of_the_named_pairs():
    quarter = Fraction(1, 4)
    linear, average, weighting = (named_pair(name, 2) for name in ("linear", "average", "full-weighting"))
    assert linear.restriction == average.restriction == Taps(0, (2 * quarter, 2 * quarter))
    assert linear.prolongation == Taps(-1, (quarter, 3 * quarter, 3 * quarter, quarter))
    assert average.prolongation == Taps(0, (Fraction(1), Fraction(1)))
    assert weighting.restriction == Taps(-1, (quarter, 2 * quarter, quarter))
    assert weighting.prolongation == Taps(-1, (2 * quarter, 4 * quarter, 2 * quarter))


# --- what the paper asks of R and P ---------------------------------------------------------------


@every_transfer
@every_factor
@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
@pytest.mark.parametrize("ndim", [1, 2])
def test_both_keep_constants(transfer, factor, boundary, ndim):
    shape = (3 * factor, 2 * factor)[:ndim]
    R, P = integer_pair(shape, transfer, factor, boundary)
    q_r, q_p = denominators(transfer, factor, ndim)
    assert (R.sum(axis=1) == q_r).all()
    assert (P.sum(axis=1) == q_p).all()


@pytest.mark.parametrize(
    ("transfer", "kept"), [("linear", False), ("average", True), ("full-weighting", False)]
)
def test_a_zero_boundary_lets_constants_leak(transfer, kept):
    R, P = integer_pair((8,), transfer, 2, "zero")
    q_r, q_p = denominators(transfer, 2)
    assert ((R.sum(axis=1) == q_r).all() and (P.sum(axis=1) == q_p).all()) == kept


@pytest.mark.parametrize("transfer", ["linear", "full-weighting"])
def test_rp_of_the_interpolating_pairs_is_not_the_identity(transfer):
    R, P = integer_pair((10,), transfer, 2)
    assert np.array_equal(R @ P, tridiagonal(5, 1, 6))  # 8 R P = tridiag(1, 6, 1), periodic
    assert np.prod(denominators(transfer, 2)) == 8


@every_factor
@every_boundary
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_rp_of_average_is_the_identity(factor, boundary, ndim):
    R, P = integer_pair((2 * factor,) * ndim, "average", factor, boundary)
    assert np.array_equal(R @ P, factor**ndim * np.eye(2**ndim))


@every_factor
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_p_of_average_is_the_scaled_transpose_of_r(factor, ndim):
    R, P = integer_pair((2 * factor,) * ndim, "average", factor)  # R stands for f^d R
    assert np.array_equal(P, R.T)


@every_factor
def test_p_of_full_weighting_is_the_scaled_transpose_of_r(factor):
    R, P = integer_pair((4 * factor,), "full-weighting", factor)  # f^2 R and f P
    assert np.array_equal(P, R.T)


def test_p_of_linear_is_not_a_transpose_of_r():
    R, P = integer_pair((8,), "linear", 2)
    assert not np.array_equal(P > 0, R.T > 0)


# Where fine cell i lies, in coarse cells, times 2 f.
FINE_COORDINATES = {
    "linear": lambda i, f: 2 * i + 1 - f,  # cell centres: (i + 1/2) / f - 1/2
    "full-weighting": lambda i, f: 2 * i,  # vertices: i / f
}


def interior(factor, n):
    return np.arange(factor, factor * (n - 1))


@every_factor
@pytest.mark.parametrize("transfer", FINE_COORDINATES)
def test_interpolation_reproduces_linear_functions(transfer, factor):
    n, i, q = 5, interior(factor, 5), denominators(transfer, factor)[1]
    P = integer_pair((n * factor,), transfer, factor)[1]
    assert np.array_equal(2 * factor * (P @ np.arange(n))[i], q * FINE_COORDINATES[transfer](i, factor))


@every_factor
def test_average_does_not_reproduce_linear_functions(factor):
    n, i = 5, interior(factor, 5)
    P = integer_pair((n * factor,), "average", factor)[1]
    assert not np.array_equal(2 * factor * (P @ np.arange(n))[i], FINE_COORDINATES["linear"](i, factor))


@every_factor
def test_interpolation_reproduces_linear_functions_of_two_variables(factor):
    n, i = 4, interior(factor, 4)
    P, q = integer_pair((n * factor,) * 2, "linear", factor)[1], denominators("linear", factor, 2)[1]
    coarse = np.add.outer(3 * np.arange(n), 5 * np.arange(n)) + 1
    fine = (P @ coarse.ravel()).reshape(n * factor, n * factor)[np.ix_(i, i)]
    x = 2 * i + 1 - factor
    assert np.array_equal(2 * factor * fine, q * (np.add.outer(3 * x, 5 * x) + 2 * factor))


# --- structure ------------------------------------------------------------------------------------


@every_matrix
@every_transfer
@every_boundary
@pytest.mark.parametrize(("shape", "factor"), [((6, 8), (2, 2)), ((6, 8), (3, 2)), ((4, 6, 8), (2, 3, 4))])
def test_several_axes_are_krons_of_one(make, transfer, boundary, shape, factor):
    axes = [
        make((n,), transfer, f, boundary, integer=True).toarray() for n, f in zip(shape, factor, strict=True)
    ]
    whole = make(shape, transfer, factor, boundary, integer=True)
    assert np.array_equal(whole.toarray(), reduce(np.kron, axes))


@every_matrix
@every_transfer
@pytest.mark.parametrize("shape", [(4, 6), (4, 4, 6)])
def test_one_factor_stands_for_all_axes(make, transfer, shape):
    one, each = make(shape, transfer, 2), make(shape, transfer, (2,) * len(shape))
    assert np.array_equal(one.toarray(), each.toarray())


@every_matrix
@every_transfer
@pytest.mark.parametrize("factor", [2, 3, 4, 7])  # k * (1 / 49) is not k / 49 for every k
@every_boundary
def test_integer_matrices_are_integer_and_the_float_ones_their_quotients(make, transfer, factor, boundary):
    q = denominators(transfer, factor)[make is prolongation_matrix]
    whole, floats = (make((3 * factor,), transfer, factor, boundary, integer=flag) for flag in (True, False))
    assert whole.dtype.kind == "i"
    assert floats.dtype == np.float64
    assert np.array_equal(floats.toarray(), whole.toarray() / q)  # rounded once


@every_matrix
@every_transfer
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("ndim", [2, 3])
def test_dyadic_matrices_are_exact_in_every_dimension(make, transfer, factor, ndim):
    q = denominators(transfer, factor, ndim)[make is prolongation_matrix]
    whole, floats = (make((2 * factor,) * ndim, transfer, factor, integer=flag) for flag in (True, False))
    assert np.array_equal(q * floats.toarray(), whole.toarray())


@every_matrix
@every_transfer
def test_thirds_are_good_to_rounding_in_three_dimensions(make, transfer):
    q = denominators(transfer, 3, 3)[make is prolongation_matrix]
    whole, floats = (make((6, 6, 6), transfer, 3, integer=flag).toarray() for flag in (True, False))
    # Three factors rounded once each and two products: five roundings of eps/2.
    assert (np.abs(floats - whole / q) <= 3 * EPS * np.abs(floats)).all()


@every_matrix
@every_transfer
@every_boundary
@pytest.mark.parametrize("shape", [(2,), (4, 2), (2, 4, 2)])
def test_matrices_are_canonical_also_with_one_coarse_cell(make, transfer, boundary, shape):
    A = make(shape, transfer, 2, boundary)
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    assert isinstance(A, sparse.csr_array)
    assert (np.diff(rows * A.shape[1] + A.indices) > 0).all()


@every_transfer
def test_a_single_coarse_cell_still_keeps_constants(transfer):
    R, P = integer_pair((2,), transfer, 2)
    q_r, q_p = denominators(transfer, 2)
    assert R.tolist() == [[q_r // 2] * 2]
    assert P.tolist() == [[q_p]] * 2


@every_transfer
@every_factor
def test_the_composite_is_what_r_and_p_give_together(transfer, factor):
    pair, n = named_pair(transfer, factor), 9
    shift = np.roll(np.eye(n * factor, dtype=np.int64), 1, axis=1)  # (shift y)_i = y_{i+1}
    R, P = integer_pair((n * factor,), transfer, factor)
    q = np.prod(denominators(transfer, factor))
    entry = {
        t: (R @ np.linalg.matrix_power(shift, -t % (n * factor)) @ P)[n // 2, n // 2] for t in range(-9, 10)
    }
    composite = dict(pair.composite().items())
    assert entry == {t: q * composite.get(t, 0) for t in entry}


def test_linear_and_full_weighting_have_one_composite_at_factor_two_only():
    same = [
        named_pair("linear", f).composite() == named_pair("full-weighting", f).composite() for f in (2, 3, 4)
    ]
    assert same == [True, False, False]


def test_a_pair_of_your_own_is_called_with_the_factor_of_the_axis():
    def point(f):  # injection and its transpose
        return TransferPair(f, Taps(0, (Fraction(1),)), Taps(0, (Fraction(1),)))

    R, P = integer_pair((4, 6), point, (2, 3))
    assert np.flatnonzero(R[0]).tolist() == [0]
    assert R.shape == (4, 24)
    assert np.array_equal(R, P.T)


def test_taps_far_from_their_cell_wrap_reflect_or_vanish():
    def far(f):
        return TransferPair(f, Taps(5, (Fraction(1),)), Taps(5, (Fraction(1),)))

    R = {b: integer_pair((4,), far, 2, b)[0].tolist() for b in ("periodic", "zero", "reflect")}
    assert R["periodic"] == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert R["zero"] == [[0, 0, 0, 0], [0, 0, 0, 0]]
    assert R["reflect"] == [[0, 0, 1, 0], [1, 0, 0, 0]]
    assert integer_pair((4,), far, 2, "periodic")[1].tolist() == [[0, 0], [1, 0], [0, 0], [0, 1]]


# --- grids and bad input --------------------------------------------------------------------------


def test_coarse_shape_divides_each_axis():
    assert coarse_shape((28, 12, 8), (2, 3, 4)) == (14, 4, 2)
    assert coarse_shape((9, 27), 3) == (3, 9)


@pytest.mark.parametrize(
    ("shape", "factor", "said"),
    [
        ((27, 28), 2, ["found a fine grid of (27, 28) cells", "factor (2, 2)", "expected", "to (28, 28)"]),
        ((28, 28), (2, 3), ["factor (2, 3) does not divide", "to (28, 30)"]),
        ((1,), 2, ["found a fine grid of (1,)", "to (2,)"]),
        ((8,), (2, 2), ["found factor (2, 2)", "1 of them, one per axis"]),
        ((8,), 0, ["found factor 0", "expected a positive integer"]),
        ((8,), 2.0, ["found factor 2.0", "expected a positive integer"]),
        ((0,), 2, ["found grid (0,)", "expected a positive integer"]),
    ],
)
@pytest.mark.parametrize("make", [restriction_matrix, prolongation_matrix, coarse_shape])
def test_grids_that_do_not_fit_are_refused(make, shape, factor, said):
    with pytest.raises(RefmgError) as caught:
        make(shape, factor=factor)
    assert [part for part in said if part not in str(caught.value)] == []


@every_matrix
def test_unknown_transfers_are_refused_with_the_closest_name(make):
    with pytest.raises(RefmgError) as caught:
        make((8,), "liner")
    expected = (
        "unknown transfer 'liner' (did you mean 'linear'?); expected one of: average, full-weighting, linear"
    )
    assert str(caught.value) == expected


@every_matrix
@every_transfer
def test_unknown_boundaries_are_refused(make, transfer):
    with pytest.raises(
        RefmgError, match=r"unknown boundary 'mirror'.*expected one of: periodic, reflect, zero"
    ):
        make((8,), transfer, 2, "mirror")


@pytest.mark.parametrize("factor", [0, -2])
def test_a_factor_below_one_is_not_a_coarsening(factor):
    with pytest.raises(RefmgError, match=f"found factor {factor}; expected 1 or more"):
        named_pair("linear", factor)


def refuse(factor):
    raise AssertionError(f"asked for the factor {factor}")


@pytest.mark.parametrize("transfer", [*TRANSFERS, refuse])
def test_a_factor_of_one_is_the_identity(transfer):
    assert named_pair(transfer, 1) == TransferPair(1, Taps(0, (Fraction(1),)), Taps(0, (Fraction(1),)))


@every_matrix
@every_transfer
def test_an_axis_of_factor_one_is_the_identity(make, transfer):
    video, image = make((3, 8), transfer, (1, 2), integer=True), make((8,), transfer, 2, integer=True)
    assert np.array_equal(video.toarray(), np.kron(np.eye(3, dtype=int), image.toarray()))


def test_taps_know_their_offsets_and_denominator():
    taps = Taps(-1, (Fraction(1, 4), Fraction(2, 3)))
    assert taps.items() == [(-1, Fraction(1, 4)), (0, Fraction(2, 3))]
    assert taps.denominator == 12
