"""The Galerkin product, and the check that a user runs on a pair of his own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from refmg.convolution import convolution_matrix
from refmg.galerkin import GalerkinReport, check_galerkin, coarse_operator, on_channels, read_stencil
from refmg.stencil_map import ClosureError, StencilMap, restrict_stencil
from refmg.transfer import TRANSFERS
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError

every_transfer = pytest.mark.parametrize("transfer", TRANSFERS)
every_factor = pytest.mark.parametrize("factor", [2, 3, 4])
every_boundary = pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
every_kind = pytest.mark.parametrize("integer", [True, False])
COARSE = [(3,), (8,), (3, 5), (4, 4), (3, 4, 3)]


def integers(*shape):
    return np.random.default_rng(len(shape)).integers(1, 10, shape)


def pair(shape, transfer="linear", factor=2, boundary="periodic", integer=True):
    """P and R, in the order of check_galerkin."""
    arguments = (shape, transfer, factor, boundary, integer)
    return prolongation_matrix(*arguments), restriction_matrix(*arguments)


def fine(coarse, factor=2):
    return tuple(n * factor for n in coarse)


# --- the product ----------------------------------------------------------------------------------


@every_transfer
@every_boundary
@pytest.mark.parametrize("coarse", COARSE)
def test_the_coarse_operator_is_the_product_by_hand(transfer, boundary, coarse):
    s, shape = integers(2, 3, *(3,) * len(coarse)), fine(coarse)
    P, R = pair(shape, transfer, 2, boundary, integer=False)
    K = convolution_matrix(s, shape, boundary)
    by_hand = np.kron(np.eye(2), R.toarray()) @ K.toarray() @ np.kron(np.eye(3), P.toarray())
    # Dyadic weights and integer taps: no rounding anywhere.
    assert np.array_equal(coarse_operator(s, shape, transfer, 2, boundary).toarray(), by_hand)


def test_the_coarse_operator_of_the_second_difference():
    rows = 4 * coarse_operator([1, -2, 1], (8,)).toarray()
    assert rows.tolist() == [[-2, 1, 0, 1], [1, -2, 1, 0], [0, 1, -2, 1], [1, 0, 1, -2]]


def product_is_a_convolution(s, coarse, transfer, boundary):
    """Whether R K P is K(s_H) up to the boundary; dyadic weights and integer taps, so nothing is rounded."""
    product = coarse_operator(s, fine(coarse), transfer, 2, boundary)
    return abs(product - convolution_matrix(restrict_stencil(s, transfer), coarse, boundary)).max() == 0


@pytest.mark.parametrize(
    ("transfer", "boundary", "holds"),
    [
        ("linear", "periodic", True),
        ("linear", "reflect", True),  # cell-centred interpolation commutes with the reflection
        ("linear", "zero", False),  # P reaches half a cell over the edge, where K reads zeros
        ("average", "periodic", True),
        ("average", "reflect", True),
        ("average", "zero", True),
        ("full-weighting", "periodic", True),
        ("full-weighting", "reflect", False),  # vertices are reflected about themselves, cells about faces
        ("full-weighting", "zero", False),
    ],
)
def test_where_the_product_is_a_convolution_up_to_the_boundary(transfer, boundary, holds):
    assert product_is_a_convolution(integers(3, 3), (4, 5), transfer, boundary) == holds


@every_transfer
@every_boundary
def test_away_from_the_boundary_the_product_is_a_convolution(transfer, boundary):
    s, coarse = integers(3, 3), (6, 7)
    product = coarse_operator(s, fine(coarse), transfer, 2, boundary).toarray().reshape(6, 7, -1)
    expected = convolution_matrix(restrict_stencil(s, transfer), coarse).toarray().reshape(6, 7, -1)
    assert np.array_equal(product[2:-2, 2:-2], expected[2:-2, 2:-2])


@pytest.mark.parametrize("channels", [1, 3])
def test_on_channels_acts_on_each_alike(channels):
    A = restriction_matrix((6,), integer=True)
    found = on_channels(A, channels)
    assert isinstance(found, sparse.csr_array)
    assert found.dtype.kind == "i"
    assert np.array_equal(found.toarray(), np.kron(np.eye(channels), A.toarray()))


@pytest.mark.parametrize("coarse", [(4,), (5,), (3, 4), (3, 5, 4)])
@pytest.mark.parametrize("channels", [(1, 1), (2, 3)])
def test_a_stencil_is_read_back_from_its_matrix(coarse, channels):
    s = integers(*channels, *(3,) * len(coarse))
    assert np.array_equal(read_stencil(convolution_matrix(s, coarse), coarse, channels, s.shape[2:]), s)


@pytest.mark.parametrize("shape", [(27, 28), (28, 30, 27)])
def test_a_grid_that_the_factor_does_not_divide_is_refused(shape):
    with pytest.raises(RefmgError, match=r"found a fine grid of .* does not divide; expected multiples"):
        coarse_operator(np.ones((3,) * len(shape)), shape)


@pytest.mark.parametrize(("shape", "width"), [((4,), (3,)), ((8, 4), (3, 3)), ((8, 8), (3, 5))])
def test_a_coarse_grid_narrower_than_the_stencil_is_refused(shape, width):
    with pytest.raises(ClosureError) as caught:
        coarse_operator(np.ones(width), shape)
    coarse = tuple(n // 2 for n in shape)
    said = f"found a coarse grid of {coarse} cells for a stencil of width {width}; expected at least as many"
    assert said in str(caught.value)
    assert "take a finer grid or fewer levels" in str(caught.value)


def test_a_coarse_grid_just_as_wide_as_the_stencil_is_allowed():
    assert coarse_operator(np.ones((3, 5)), (6, 10)).shape == (15, 15)


# --- the check accepts ----------------------------------------------------------------------------


@every_transfer
@every_factor
@pytest.mark.parametrize("coarse", COARSE)
def test_named_pairs_pass_in_integers_without_tolerance(transfer, factor, coarse):
    s = integers(2, 3, *(3,) * len(coarse))
    report = check_galerkin(*pair(fine(coarse, factor), transfer, factor), s, fine(coarse, factor))
    assert report
    assert (report.error, report.bound) == (0, 0)


@every_transfer
@every_factor
@pytest.mark.parametrize("coarse", COARSE)
def test_named_pairs_pass_in_floats_within_a_small_bound(transfer, factor, coarse):
    s = np.random.default_rng(0).standard_normal((2, 3, *(3,) * len(coarse)))
    shape = fine(coarse, factor)
    report = check_galerkin(*pair(shape, transfer, factor, integer=False), s, shape)
    assert report
    assert 0 < report.bound < 1e-10


@every_transfer
def test_float32_pairs_get_the_bound_of_float32(transfer):
    P, R = (A.astype(np.float32) for A in pair((8, 8), transfer, integer=False))
    report = check_galerkin(P, R, np.ones((3, 3), np.float32), (8, 8))
    assert report
    assert report.bound > np.finfo(np.float32).eps


@every_transfer
@every_kind
def test_the_report_holds_the_restricted_stencil(transfer, integer):
    s = integers(2, 3, 3, 3)
    P, R = pair((8, 12), transfer, integer=integer)
    scale = R.sum(axis=1)[0] * P.sum(axis=1)[0]
    report = check_galerkin(P, R, s, (8, 12))
    assert np.array_equal(report.stencil, scale * StencilMap(transfer=transfer).restrict(s))
    assert report.width == (3, 3)


def test_dense_matrices_are_taken_too_and_stay_unchanged():
    P, R = (A.toarray() for A in pair((8,)))
    kept = P.copy(), R.copy()
    assert check_galerkin(P, R, [1, 5, 2], (8,))
    assert np.array_equal(P, kept[0])
    assert np.array_equal(R, kept[1])


def test_a_different_factor_on_each_axis_needs_the_coarse_grid():
    shape, coarse = (8, 12), (4, 4)
    P, R = pair(shape, "linear", (2, 3))
    assert check_galerkin(P, R, integers(3, 3), shape, coarse=coarse)
    with pytest.raises(RefmgError, match="found P of shape"):
        check_galerkin(P, R, integers(3, 3), shape)


def test_without_coarsening_the_coarse_stencil_is_the_fine_one():
    report = check_galerkin(np.eye(9, dtype=int), np.eye(9, dtype=int), [1, 5, 2], (9,))
    assert report
    assert report.stencil.tolist() == [[[1, 5, 2]]]


def test_a_stencil_of_zeros_passes():
    report = check_galerkin(*pair((8,)), [0, 0, 0], (8,))
    assert report
    assert report.width == (1,)


# --- the check rejects ----------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("ndim", [1, 2])
def test_bilinear_with_its_transpose_is_too_wide(integer, ndim):
    P, _ = pair((16,) * ndim, integer=integer)
    R = P.T if integer else P.T / 2
    report = check_galerkin(P, R, integers(*(3,) * ndim), (16,) * ndim)
    assert not report
    assert report.width == (5,) * ndim
    assert check_galerkin(P, R, integers(*(5,) * ndim), (16,) * ndim)


@every_transfer
@every_kind
def test_a_permuted_p_is_not_a_convolution(transfer, integer):
    P, R = pair((16,), transfer, integer=integer)
    permuted = P[:, [1, 0, *range(2, 8)]]
    report = check_galerkin(permuted, R, [1, 5, 2], (16,))
    assert not report
    assert report.width is None


@every_transfer
@pytest.mark.parametrize("entry", [0, 7, -1])
def test_one_entry_off_by_one_is_rejected_in_integers(transfer, entry):
    P, R = pair((12, 12), transfer)
    P.data[entry] += 1
    report = check_galerkin(P, R, integers(3, 3), (12, 12))
    assert not report
    assert report.error >= 1
    assert report.width is None


@every_transfer
@pytest.mark.parametrize("changed", ["P", "R"])
def test_one_entry_off_by_a_ten_billionth_is_rejected_in_floats(transfer, changed):
    P, R = pair((12, 12), transfer, integer=False)
    (P if changed == "P" else R).data[7] += 1e-10
    report = check_galerkin(P, R, integers(3, 3), (12, 12))
    assert not report
    assert report.width is None


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_a_p_that_ends_at_the_boundary_is_rejected(boundary):
    P, R = pair((12,), "linear", 2, boundary)
    assert not check_galerkin(P, R, [1, 5, 2], (12,))


def test_the_wider_of_two_channels_decides():
    s = np.zeros((2, 1, 5), int)
    s[:, 0, 1:4] = integers(2, 3)
    s[1, 0, 0] = 1
    assert check_galerkin(*pair((16,)), s, (16,)).width == (5,)
    assert check_galerkin(*pair((16,)), s[:1], (16,)).width == (3,)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_p_that_is_not_finite_is_rejected_and_no_convolution(value):
    P, R = pair((12,), integer=False)
    P.data[3] = value
    with np.errstate(invalid="ignore"):
        report = check_galerkin(P, R, [1, 5, 2], (12,))
    assert not report
    assert report.width is None


@pytest.mark.parametrize(
    ("transfer", "factor", "width"), [("linear", 3, 5), ("linear", 4, 7), ("full-weighting", 2, 7)]
)
def test_rounding_noise_is_not_taken_for_a_product_that_is_no_convolution(transfer, factor, width):
    T = StencilMap(width, 1, transfer, factor).matrix
    invisible = np.linalg.svd(T)[2][-1]  # T s = 0, so that R K P is nothing but rounding
    shape = (8 * factor,)
    report = check_galerkin(*pair(shape, transfer, factor, integer=False), invisible, shape)
    assert report
    assert report.width is not None  # what passes is a convolution, no wider than the stencil
    assert report.width[0] <= width


# --- the report -----------------------------------------------------------------------------------


def test_the_report_in_words():
    taps = np.ones((1, 1, 3))
    holds = GalerkinReport(taps, 0.0, 5.33e-15, (3,))
    fails = GalerkinReport(taps, 0.125, 0.0, (5,))
    nothing = GalerkinReport(taps, 2.0, 0.0, None)
    assert (
        str(holds) == "R K P == K(s_H) holds: error 0, bound 5.33e-15; R K P is a convolution of width (3,)"
    )
    assert str(fails) == "R K P == K(s_H) FAILS: error 0.125, bound 0; R K P is a convolution of width (5,)"
    assert str(nothing) == "R K P == K(s_H) FAILS: error 2, bound 0; R K P is not a convolution"


@pytest.mark.parametrize(("error", "passes"), [(0.0, True), (1.0, True), (1.5, False), (np.nan, False)])
def test_the_report_is_true_up_to_and_with_its_bound(error, passes):
    assert bool(GalerkinReport(np.ones((1, 1, 3)), error, 1.0, (3,))) is passes


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["P", "R", "swapped", "grid", "coarse"])
def test_matrices_that_do_not_fit_the_grid_are_refused(case):
    P, R = pair((12,))
    other_P, other_R = pair((8,))
    arguments = {
        "P": (other_P, R, [1, 5, 2], (12,)),
        "R": (P, other_R, [1, 5, 2], (12,)),
        "swapped": (R, P, [1, 5, 2], (12,)),
        "grid": (P, R, [1, 5, 2], (13,)),
        "coarse": (P, R, [1, 5, 2], (12,), (4,)),
    }[case]
    with pytest.raises(RefmgError) as caught:
        check_galerkin(*arguments)
    assert f"found P of shape {arguments[0].shape} and R of shape {arguments[1].shape}" in str(caught.value)
    assert "expected" in str(caught.value)


def test_the_check_refuses_a_coarse_grid_narrower_than_the_stencil():
    with pytest.raises(
        ClosureError, match=r"found a coarse grid of \(4,\) cells for a stencil of width \(5,\)"
    ):
        check_galerkin(*pair((8,)), np.ones(5, int), (8,))


def test_the_check_refuses_an_even_stencil():
    with pytest.raises(RefmgError, match="expected odd widths"):
        check_galerkin(*pair((8,)), [1, 2], (8,))
