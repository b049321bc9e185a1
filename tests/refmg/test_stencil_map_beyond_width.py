"""Maps whose product ``R K(s_h) P`` is wider than the stencil, with strides, and maps of many taps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from stencil_map_cases import EPS, fractions

from refmg.convolution import convolution_matrix
from refmg.stencil_map import ClosureError, StencilMap
from refmg.transfer import Taps, TransferPair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix

# Pair, width and stride; the coarse stencil needs 3 or 5 taps on the axes of width 1 or 3.
WIDER = [
    ("linear", (1,), 1),
    ("linear", (3,), 2),
    ("average", (3,), 3),
    ("full-weighting", (3, 1), 1),
    ("linear", (1, 3), (1, 2)),
]
every_wider = pytest.mark.parametrize(("transfer", "width", "stride"), WIDER)


def fitted(transfer, width, stride):
    M = StencilMap(width, len(width), transfer, closure="least-squares", stride=stride)
    assert not M.closes
    return M, tuple(6 * t for t in M.stride)


def by_matrices(M, stencil, coarse):
    """``R_out K(s_h) P_in`` for a stencil of one channel, all entries in one row."""
    fine = tuple(2 * n for n in coarse)
    out = tuple(n // t for n, t in zip(fine, M.stride, strict=True))
    K = convolution_matrix(stencil, fine, stride=M.stride)
    product = restriction_matrix(out, M.transfer) @ K @ prolongation_matrix(fine, M.transfer)
    return product.toarray().ravel()


def on_coarse(M, stencil, coarse):
    return convolution_matrix(stencil, coarse, stride=M.stride).toarray().ravel()


def units(M):
    return np.eye(int(np.prod(M.width))).reshape(-1, *M.width)


@every_wider
def test_the_residual_counts_what_lies_outside_the_width(transfer, width, stride):
    M, coarse = fitted(transfer, width, stride)
    fine, given = np.random.default_rng(11).standard_normal((2, *width))
    gap = on_coarse(M, given, coarse) - by_matrices(M, fine, coarse)
    cells = np.prod(coarse) / np.prod(M.stride)
    # Each row is one sum of at most 4^d k^d products for every tap; norms are good to their length.
    bound = (4 ** len(width) * fine.size + gap.size) * EPS * (np.abs(fine).sum() + np.abs(given).sum())
    assert abs(M.residual(fine, given) - np.linalg.norm(gap) / np.sqrt(cells)) <= bound
    assert M.residual(fine, M.restrict(fine)) > 1e-3  # it does not close


@every_wider
def test_least_squares_prolongs_to_the_smallest_of_the_best_fits(transfer, width, stride):
    M, coarse = fitted(transfer, width, stride)
    given = np.random.default_rng(12).standard_normal(width)
    columns = np.array([by_matrices(M, unit, coarse) for unit in units(M)]).T
    best, _, rank, values = np.linalg.lstsq(columns, on_coarse(M, given, coarse))
    # Wedin's bound for two ways to solve one least-squares problem: n eps times the condition squared.
    condition = values[0] / values[rank - 1]
    bound = columns.shape[0] * EPS * condition**2 * max(np.linalg.norm(best), np.linalg.norm(given))
    assert np.linalg.norm(M.prolong(given).ravel() - best) <= bound
    assert np.linalg.norm(M.prolong(given) - given) > 1e-3


@pytest.mark.parametrize("stride", [2, (1, 2)])
def test_a_refused_map_names_its_stride(stride):
    with pytest.raises(ClosureError, match=r"with factor \(2, 2\) and stride \(\d, 2\) does not close"):
        StencilMap(3, 2, "linear", stride=stride)


def test_a_refused_map_of_stride_one_names_none():
    with pytest.raises(ClosureError, match=r"with factor \(2, 2\) does not close"):
        StencilMap(1, 2, "linear")


def test_factor_one_keeps_a_stencil_of_many_taps():
    """17 x 17 taps: more than any number that Python keeps once, so that ranks are compared by value."""
    M, s = StencilMap(17, 2, factor=1), fractions(np.arange(17 * 17).reshape(17, 17))
    assert M.rank == 289
    assert M.condition_number == M.amplification == 1
    prolonged = M.prolong(s, method="least-squares")
    assert np.array_equal(prolonged, s)
    assert all(isinstance(tap, Fraction) for tap in prolonged.ravel())


@pytest.mark.parametrize("ndim", [1, 2])
def test_a_map_is_singular_by_its_fractions_where_floats_do_not_say_so(ndim):
    """The determinant of the axis map is ``c_1^2 (c_0 - 2 c_2)`` and is 0, which rounding hides."""

    def pair(factor):
        weights = tuple(map(Fraction, ("1/10", "4/5", "1/5", "4/5", "1/10")))
        return TransferPair(factor, Taps(0, (Fraction(1),)), Taps(-2, weights))

    M = StencilMap(3, ndim, pair)
    assert M.rank == 2**ndim
    assert 1e15 < np.linalg.cond(M.matrix) < np.inf
    assert M.condition_number == M.amplification == np.inf


@pytest.mark.parametrize("narrow", [np.int8, np.uint8, np.int16])
def test_narrow_integers_become_float64(narrow):
    assert StencilMap().restrict(np.ones((3, 3), narrow)).dtype == np.float64
