"""Reports, residuals, matrices of one's own, and strides: what a map promises before one uses it."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from refmg import TransferReport
from refmg.convolution import convolution_matrix
from refmg.galerkin import on_channels
from refmg.matrix_map import MatrixMap
from refmg.stencil_map import ClosureError, StencilMap
from refmg.stencil_maps import stencil_transfer_names
from refmg.transfer import TRANSFERS, Taps, TransferPair, named_pair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg.transfer_report import transfer_report
from refmg_backends import RefmgError

# The package has a function of the module's name.
transfer_report_module = import_module("refmg.transfer_report")
EPS = np.finfo(np.float64).eps
every_transfer = pytest.mark.parametrize("transfer", TRANSFERS)


def bilinear_and_transpose(factor):
    hat = named_pair("linear", factor).prolongation
    return TransferPair(factor, Taps(hat.first, tuple(w / factor for w in hat.weights)), hat)


# --- reports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", stencil_transfer_names())
@pytest.mark.parametrize("ndim", [1, 2])
def test_every_round_trip_is_within_its_bound(name, ndim):
    images = np.random.default_rng(0).random((1, *(12,) * ndim, 9))
    report = transfer_report(name, ndim=ndim, images=images)
    T, Q = report.restriction, report.prolongation
    for dtype, (error, bound) in report.round_trips.items():
        # Two products with rounded matrices, whatever was measured of their product.
        rounding = 2 * (len(T) + 2) * np.finfo(dtype).eps * np.linalg.norm(Q) * np.linalg.norm(T)
        # Predictions do not undo each other; the joint map's matrices do, but for the rounding of roots.
        missing = np.linalg.norm(Q @ T - np.eye(len(T)), 2)
        slack = {"power-law": missing, "spectrum": missing, "power-law-joint": 1e3 * EPS}.get(name, 0.0)
        assert error <= rounding + slack
        assert error <= bound <= (rounding + slack) * (1 + 100 * EPS)
        # Random stencils find a fair part of what is lost.
        assert name not in ("power-law", "spectrum") or error > 0.3 * missing > 0.01
    assert report.round_trips["float32"][1] > report.round_trips["float64"][1]
    assert str(report).startswith(name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TRANSFERS)
def test_a_prolongation_that_is_slightly_wrong_breaks_its_bound(monkeypatch, name, dtype):
    moves, wrong = transfer_report_module._moves, 1 + 1e3 * float(np.finfo(dtype).eps)

    def spoilt(M):
        restrict, prolong = moves(M)
        return restrict, lambda s: (prolong(s) * np.asarray(wrong, s.dtype)).astype(s.dtype)

    monkeypatch.setattr(transfer_report_module, "_moves", spoilt)
    error, bound = transfer_report(name, ndim=1).round_trips[dtype]
    assert error > bound


def test_the_report_says_what_the_map_says():
    M, report = StencilMap(), transfer_report("linear", levels=2)
    assert (report.closes, report.coarse_width, report.rank) == (True, (3, 3), 9)
    assert np.array_equal(report.restriction, M.matrix)
    assert report.condition_number == M.condition_number
    assert report.amplifications[0] == pytest.approx(M.amplification, rel=1e-12)
    Q = np.linalg.inv(M.matrix)
    assert report.amplifications[1] == pytest.approx(np.linalg.norm(Q @ Q, 2), rel=1e-10)
    assert np.abs(report.eigenvalues - M.eigenvalues).max() <= 1e-12


def test_amplification_tends_to_the_largest_eigenvalue_of_prolong():
    """Over many levels: 16 a level in two dimensions, the second derivative on both axes."""
    growth = transfer_report("linear", levels=8).amplifications
    assert growth[7] / growth[6] == pytest.approx(16, rel=0.02)
    assert growth[0] > 16  # a single level can do more: the eigenvectors are not orthogonal


def test_a_pair_that_does_not_close_is_reported():
    report = transfer_report(bilinear_and_transpose, ndim=1)
    assert (report.closes, report.coarse_width) == (False, (5,))
    assert "does NOT close (needs width (5,)): least squares" in str(report)
    assert transfer_report(bilinear_and_transpose, 5, 1).closes


def test_a_singular_map_is_reported():
    report = transfer_report("average", width=5, ndim=1)
    assert (report.closes, report.rank) == (True, 3)
    assert report.condition_number == np.inf
    assert report.inverse_error > 0.1
    error, bound = report.round_trips["float64"]
    assert 0.1 < error <= bound
    # A wide difference is lost in the restriction: nothing gives it back.
    assert report.residuals == pytest.approx((0.0, 1.0), abs=1e-12)
    assert "residual up to 0 of restrict, 1 of prolong" in str(report)


@pytest.mark.parametrize("transfer", ["average", bilinear_and_transpose])
@pytest.mark.parametrize("width", [3, 5])
def test_the_reported_residuals_are_the_largest(transfer, width):
    report, M = transfer_report(transfer, width, 1), StencilMap(width, 1, transfer, closure="least-squares")
    s = np.random.default_rng(8).standard_normal((400, width))
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    down = [M.residual(one, M.restrict(one)) for one in s]
    up = [M.residual(M.prolong(one, method="least-squares"), one) for one in s]
    for largest, found in zip(report.residuals, (down, up), strict=True):
        assert max(found) <= largest + 1e-12
        assert max(found) >= 0.7 * largest - 1e-12


def test_maps_without_r_and_p_have_no_residual():
    assert transfer_report("power-law").residuals is None
    assert "residual" not in str(transfer_report("unchanged"))


# --- least squares of one call, and what it leaves -------------------------------------------------


@every_transfer
@pytest.mark.parametrize("width", [3, 5, 7])
def test_least_squares_of_one_call(transfer, width):
    if StencilMap(width, 1, transfer).rank == width:
        fitted, s = StencilMap(width, 1, transfer), np.random.default_rng(1).standard_normal(width)
        assert np.array_equal(fitted.prolong(s, method="least-squares"), fitted.prolong(s))
        return
    exact, by_name = (StencilMap(width, 1, transfer, closure=c) for c in ("exact", "least-squares"))
    s = np.random.default_rng(1).standard_normal(width)
    assert np.array_equal(exact.prolong(s, method="least-squares"), by_name.prolong(s))
    with pytest.raises(ClosureError, match="here method='least-squares'"):
        by_name.prolong(s, method="exact")


def test_another_method_is_refused():
    with pytest.raises(RefmgError, match="unknown method 'lsq'"):
        StencilMap().prolong(np.ones((3, 3)), method="lsq")


@pytest.mark.parametrize("transfer", ["linear", "average", bilinear_and_transpose])
@pytest.mark.parametrize(("width", "channels"), [((3,), ()), ((5,), (2, 3)), ((3, 3), (2, 2))])
def test_the_residual_is_that_of_the_explicit_matrices(transfer, width, channels):
    M = StencilMap(width, len(width), transfer, closure="least-squares")
    rng, coarse, shape = np.random.default_rng(2), (7,) * len(width), (14,) * len(width)
    s_h, s_H = rng.standard_normal((2, *channels, *width))
    R, P = (make(shape, transfer) for make in (restriction_matrix, prolongation_matrix))
    c_out, c_in = channels or (1, 1)
    K_h, K_H = convolution_matrix(s_h, shape), convolution_matrix(s_H, coarse)
    gap = K_H - on_channels(R, c_out) @ K_h @ on_channels(P, c_in)
    expected = np.linalg.norm(gap.toarray()) / np.sqrt(np.prod(coarse))
    assert M.residual(s_h, s_H) == pytest.approx(expected, rel=1e3 * EPS)
    best = M.restrict(s_h)
    assert M.residual(s_h, best) <= M.residual(s_h, s_H)
    step = 1e-3 * rng.standard_normal(s_h.shape)
    assert M.residual(s_h, best) < M.residual(s_h, best + step)


# --- matrices of one's own -------------------------------------------------------------------------


@every_transfer
@pytest.mark.parametrize(("shape", "factor"), [((12,), (2,)), ((12,), (3,)), ((8, 6), (2, 1))])
def test_matrices_give_the_map_of_their_pair(transfer, shape, factor):
    R, P = (make(shape, transfer, factor) for make in (restriction_matrix, prolongation_matrix))
    coarse = tuple(n // f for n, f in zip(shape, factor, strict=True))
    found = MatrixMap(P, R, 3, shape, coarse)
    expected = StencilMap(3, len(shape), transfer, factor)
    assert np.abs(found.matrix - expected.matrix).max() <= 64 * EPS
    s = np.random.default_rng(3).standard_normal((2, 1, *(3,) * len(shape)))
    slack = 1e3 * EPS * expected.condition_number * np.abs(s).max()
    assert np.abs(found.restrict(s) - expected.restrict(s)).max() <= slack
    assert np.abs(found.prolong(found.restrict(s)) - s).max() <= slack


def test_matrices_that_do_not_close_are_refused():
    P = prolongation_matrix((12,), "linear")
    with pytest.raises(ClosureError, match=r"R K P needs width \(5,\)"):
        MatrixMap(P, P.T / 2, 3, (12,))
    R = restriction_matrix((12,)).toarray()
    R[0] = 0.0
    with pytest.raises(ClosureError, match="R K P is no convolution"):
        MatrixMap(P, R, 3, (12,))


@pytest.mark.parametrize(("width", "shape"), [(3, (14,)), (5, (14,)), (3, (10, 14)), ((3, 5), (14, 14))])
@pytest.mark.parametrize("transfer", [*TRANSFERS, bilinear_and_transpose])
def test_least_squares_of_matrices_are_those_of_their_pair(transfer, width, shape):
    R, P = (make(shape, transfer) for make in (restriction_matrix, prolongation_matrix))
    found = MatrixMap(P, R, width, shape, closure="least-squares")
    expected = StencilMap(width, len(shape), transfer, closure="least-squares")
    assert (found.closes, found.rank) == (expected.closes, expected.rank)
    s = np.random.default_rng(6).standard_normal((2, 1, *expected.width))
    assert np.abs(found.restrict(s) - expected.restrict(s)).max() <= 1e3 * EPS
    fitted = found.prolong(s, method="least-squares")
    # Pseudoinverses of condition numbers below 1e4.
    assert np.abs(fitted - expected.prolong(s, method="least-squares")).max() <= 1e6 * EPS
    for s_h, s_H in ((s, found.restrict(s)), (fitted, s), (s, s)):
        assert found.residual(s_h, s_H) == pytest.approx(expected.residual(s_h, s_H), rel=1e-9, abs=1e-12)
    one, other = transfer_report(found), transfer_report(transfer, width, len(shape))
    assert one.closes == other.closes
    assert one.residuals == pytest.approx(other.residuals, rel=1e-9, abs=1e-12)
    assert one.amplifications == pytest.approx(other.amplifications, rel=1e-9)
    assert str(one).startswith(
        "given matrices: closes" if one.closes else "given matrices: does NOT close: least"
    )


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize(("coarse", "stride"), [((12,), 2), ((12,), 3), ((8, 12), (2, 1))])
def test_matrices_around_a_stride_give_the_map_of_their_pair(transfer, coarse, stride):
    fine = tuple(2 * n for n in coarse)
    strides = np.broadcast_to(stride, len(coarse))
    outputs = tuple(int(n // t) for n, t in zip(fine, strides, strict=True))
    R, P = restriction_matrix(outputs, transfer), prolongation_matrix(fine, transfer)
    found = MatrixMap(P, R, 7, fine, coarse, stride=stride)
    expected = StencilMap(7, len(coarse), transfer, stride=stride)
    assert found.closes
    assert np.abs(found.matrix - expected.matrix).max() <= 64 * EPS


def test_strided_matrices_that_do_not_close_are_refused_or_fitted():
    R, P = restriction_matrix((12,)), prolongation_matrix((24,))
    with pytest.raises(ClosureError, match="is no convolution of this width for every stencil"):
        MatrixMap(P, R, 3, (24,), (12,), stride=2)
    found = MatrixMap(P, R, 3, (24,), (12,), stride=2, closure="least-squares")
    expected = StencilMap(3, 1, stride=2, closure="least-squares")
    assert np.abs(found.matrix - expected.matrix).max() <= 64 * EPS
    s = np.array([1.0, -2.0, 1.0])
    assert found.residual(s, found.restrict(s)) == pytest.approx(expected.residual(s, found.restrict(s)))
    with pytest.raises(RefmgError, match=r"stride \(5,\); expected a divisor"):
        MatrixMap(P, R, 3, (24,), (12,), stride=5)
    with pytest.raises(RefmgError, match=r"expected \(24, N_H\) and \(N_H / 3, 8\)"):
        MatrixMap(P, R, 3, (24,), (12,), stride=3)


def test_a_matrix_that_is_no_convolution_is_fitted_by_the_nearest():
    P, R = prolongation_matrix((12,)), restriction_matrix((12,)).toarray()
    R[0] *= 2
    found = MatrixMap(P, R, 3, (12,), closure="least-squares")
    s = np.random.default_rng(7).standard_normal(3)
    best = found.restrict(s)
    product = R @ convolution_matrix(s, (12,)) @ P

    def distance(s_H):
        return np.linalg.norm(product - convolution_matrix(s_H, (6,)).toarray()) / np.sqrt(6)

    assert found.residual(s, best) == pytest.approx(distance(best), rel=1e-12)
    assert all(distance(best + step) > distance(best) for step in 1e-3 * np.eye(3))
    assert not found.closes


def test_integer_matrices_have_no_rounding():
    P, R = (make((12,), integer=True) for make in (prolongation_matrix, restriction_matrix))
    assert np.array_equal(MatrixMap(P, R, 3, (12,)).matrix, 8 * StencilMap(ndim=1).matrix)
    P = P.copy()
    P.data[0] += 1
    with pytest.raises(ClosureError, match="R K P is no convolution"):
        MatrixMap(P, R, 3, (12,))


def test_another_closure_or_method_is_refused():
    P, R = prolongation_matrix((12,)), restriction_matrix((12,))
    with pytest.raises(RefmgError, match="unknown closure 'lsq'"):
        MatrixMap(P, R, 3, (12,), closure="lsq")
    with pytest.raises(RefmgError, match="unknown method 'lsq'"):
        MatrixMap(P, R, 3, (12,)).prolong(np.ones(3), method="lsq")


def test_singular_matrices_restrict_but_do_not_prolong():
    R, P = restriction_matrix((12,)), prolongation_matrix((12,), "average")
    M = MatrixMap(P, R, 5, (12,))
    assert M.restrict(np.ones(5)).sum() == pytest.approx(5, rel=64 * EPS)
    with pytest.raises(ClosureError, match="with rank 3 of 5"):
        M.prolong(np.ones(5))


# --- strides ---------------------------------------------------------------------------------------


def strided_product(s, coarse, transfer, factor, stride):
    """R_out K(s, stride) P_in, all integers, and the integer that it is too large by."""
    fine = tuple(n * factor for n in coarse)
    outputs = tuple(n // stride for n in fine)
    R = restriction_matrix(outputs, transfer, factor, integer=True)
    P = prolongation_matrix(fine, transfer, factor, integer=True)
    pair = named_pair(transfer, factor)
    scale = (pair.restriction.denominator * pair.prolongation.denominator) ** len(coarse)
    return R @ convolution_matrix(s, fine, stride=stride) @ P, scale


@every_transfer
@pytest.mark.parametrize(
    ("coarse", "factor", "stride"), [((12,), 2, 2), ((12,), 3, 2), ((8, 8), 2, 2), ((12,), 2, 3)]
)
def test_a_strided_stencil_is_the_explicit_product_where_it_closes(coarse, factor, stride, transfer):
    width = 7
    M = StencilMap(width, len(coarse), transfer, factor, closure="least-squares", stride=stride)
    assert M.closes
    s = np.random.default_rng(4).integers(-9, 10, M.width)
    product, scale = strided_product(s, coarse, transfer, factor, stride)
    found = convolution_matrix(M.restrict(s), coarse, stride=stride) * scale
    # Fractions with denominators of powers of 2 and 3: integers again but for rounding.
    assert abs(product - found).max() <= 64 * EPS * np.abs(s).sum() * scale


@pytest.mark.parametrize("transfer", ["linear", "full-weighting"])  # "average" is not exact on slopes
def test_the_stencil_moves_aside_by_the_offset_of_the_outputs(transfer):
    """R averages outputs 2 cells apart: its centre lies (t - 1)(f - 1) / 2 fine cells beside the input's."""
    M = StencilMap(7, 1, transfer, 2, stride=2)
    s = np.zeros(7)
    s[3] = 1.0
    places = np.arange(7) - 3
    centre = places @ M.restrict(s)
    inner = 0.0 if transfer == "full-weighting" else 0.25  # vertex-centred grids share their points
    assert centre == pytest.approx(inner, abs=64 * EPS)


def test_the_unstrided_map_is_exact_when_r_acts_before_the_outputs_are_dropped():
    s, M = np.random.default_rng(5).standard_normal((3, 3)), StencilMap()
    R, P = restriction_matrix((12, 12)), prolongation_matrix((12, 12))
    every_second = convolution_matrix([[1.0]], (6, 6), stride=2)
    product = every_second @ R @ convolution_matrix(s, (12, 12)) @ P
    found = convolution_matrix(M.restrict(s), (6, 6), stride=2)
    assert abs(product - found).max() <= 64 * EPS * np.abs(s).sum()


def test_a_report_prints_what_it_knows():
    report = transfer_report("average", ndim=1)
    assert isinstance(report, TransferReport)
    assert (report.name, report.rank) == ("average", 3)
    assert np.allclose(sorted(np.abs(report.eigenvalues)), [0.5, 0.5, 1.0])
    assert "average: closes, rank 3 of 3" in str(report)
