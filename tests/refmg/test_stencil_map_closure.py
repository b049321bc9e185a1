"""Maps of stencils that do not close or are singular, what they return, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from stencil_map_cases import EPS, every_transfer, fractions, integers

from refmg import Derivative, derivatives
from refmg.convolution import convolution_matrix
from refmg.galerkin import coarse_operator
from refmg.rational import identity, inverse, null_space, rank
from refmg.stencil_map import ClosureError, StencilMap, restrict_stencil
from refmg.transfer import TRANSFERS, Taps, TransferPair, named_pair
from refmg_backends import RefmgError


def bilinear_and_transpose(factor):
    """Linear interpolation and its scaled transpose: a pair that does not close at width 3."""
    hat = named_pair("linear", factor).prolongation
    return TransferPair(factor, Taps(hat.first, tuple(w / factor for w in hat.weights)), hat)


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
