"""Reports, residuals, matrices of one's own, and strides: what a map promises before one uses it."""

from __future__ import annotations

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
    for error, bound in report.round_trips.values():
        assert error <= bound
    inverse = name not in ("power-law", "spectrum")  # predictions do not undo each other
    assert (report.round_trips["float64"][1] < 1e-12) == inverse
    assert (report.inverse_error < 1e-12) == inverse
    assert report.round_trips["float32"][1] > report.round_trips["float64"][1]
    assert str(report).startswith(name)


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
