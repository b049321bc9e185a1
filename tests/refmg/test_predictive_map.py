"""Maps that know images, against explicit covariance matrices and explicit R and K on small grids."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from refmg import Covariance
from refmg.convolution import convolution_matrix
from refmg.covariance import PowerLaw, Spectrum
from refmg.joint_map import JointMap
from refmg.predictive_map import PredictiveMap, free_taps
from refmg.second_moments import second_moments
from refmg.stencil_map import ClosureError, StencilMap
from refmg.transfer_matrix import restriction_matrix
from refmg_backends import RefmgError

EPS = np.finfo(np.float64).eps


class OnGrid(PowerLaw):
    """A power law on a grid small enough for explicit matrices."""

    def __init__(self, shape, exponent=2.0, constant=1.0):
        super().__init__(exponent, constant)
        object.__setattr__(self, "small", shape)

    def grid(self, factor):
        return self.small


# Fine grid, width, factor, stride. The last axis of the fourth stays as it is.
CASES = [
    ((12,), (3,), (2,), (1,)),
    ((15,), (5,), (3,), (1,)),
    ((16,), (3,), (4,), (1,)),
    ((10, 6), (3, 3), (2, 1), (1, 1)),
    ((8, 9), (3, 3), (2, 3), (1, 1)),
    ((6, 6, 6), (3, 1, 3), (2, 2, 2), (1, 1, 1)),
    ((12,), (3,), (2,), (2,)),
    ((12, 8), (3, 3), (2, 2), (3, 2)),
]
every_case = pytest.mark.parametrize(("shape", "width", "factor", "stride"), CASES)


def circulant(power):
    """The covariance matrix C with these eigenvalues."""
    shape, N = power.shape, power.size
    F = np.fft.fftn(np.eye(N).reshape(N, *shape), axes=range(1, len(shape) + 1)).reshape(N, N) / np.sqrt(N)
    return (F.conj().T @ np.diag(power.ravel()) @ F).real


def unit_stencils(width):
    return np.eye(int(np.prod(width))).reshape(-1, *width)


def what_taps_see(shape, width, factor, stride):
    """Rows phi_j and psi_J of one coarse output cell, from explicit R and K, on the fine image."""
    outputs = tuple(n // t for n, t in zip(shape, stride, strict=True))
    coarse = tuple(n // f for n, f in zip(shape, factor, strict=True))
    R_out, R = restriction_matrix(outputs, factor=factor), restriction_matrix(shape, factor=factor)
    phi = [(R_out @ convolution_matrix(s, shape, stride=stride))[[0]] for s in unit_stencils(width)]
    psi = [(convolution_matrix(s, coarse, stride=stride) @ R)[[0]] for s in unit_stencils(width)]
    return tuple(np.vstack([row.toarray() for row in rows]) for rows in (phi, psi))


@every_case
def test_the_moments_are_those_of_the_explicit_covariance(shape, width, factor, stride):
    law = OnGrid(shape)
    C, (phi, psi) = circulant(law.power(shape)), what_taps_see(shape, width, factor, stride)
    m = second_moments(law, width, factor, stride)
    # Sums of N terms, of FFTs of them, of the size of the variance of one pixel.
    bound = 8 * len(C) * EPS * C[0, 0]
    for found, expected in (
        (m.coarse, psi @ C @ psi.T),
        (m.mixed, psi @ C @ phi.T),
        (m.fine, phi @ C @ phi.T),
    ):
        assert np.abs(found - expected).max() <= bound
    assert not m.keeps_constants


@every_case
def test_both_maps_solve_the_least_squares_over_images(shape, width, factor, stride):
    """Brute force: a square root of C as the images, least squares by a QR solver."""
    law = OnGrid(shape)
    root = circulant(np.sqrt(law.power(shape)))  # root root^T = C: its columns are images
    phi, psi = (rows @ root for rows in what_taps_see(shape, width, factor, stride))
    M = PredictiveMap(law, width, len(shape), factor, stride)
    for found, own, other, condition in (
        (M.restriction, psi, phi, M.condition_numbers[0]),
        (M.prolongation, phi, psi, M.condition_numbers[1]),
    ):
        expected = np.linalg.lstsq(own.T, other.T)[0]
        # Normal equations: eps times their condition, N terms each, relative to the solution.
        assert np.abs(found - expected).max() <= 8 * root.size * EPS * condition * np.abs(expected).max()


def test_sampled_images_lead_to_the_same_map():
    """Images with the periodic covariance, exactly: all shifts of a few, through Spectrum."""
    rng, shape = np.random.default_rng(3), (8, 6)
    x = rng.standard_normal((2, *shape, 3))
    shifts = product(range(8), range(6))
    images = np.concatenate([np.roll(x, by, axis=(1, 2)) for by in shifts], axis=-1)
    M = PredictiveMap(Spectrum.of(images), 3, 2)
    phi, psi = what_taps_see(shape, (3, 3), (2, 2), (1, 1))
    flat = np.moveaxis(images, 0, -1).reshape(48, -1)
    expected = np.linalg.lstsq((psi @ flat).T, (phi @ flat).T)[0]
    bound = 8 * flat.size * EPS * M.condition_numbers[0]
    assert np.abs(M.restriction - expected).max() <= bound
    assert np.abs(PredictiveMap(PowerLaw(2.0), 3, 2).restriction - expected).max() > 0.01


def test_infinite_constants_are_the_limit_of_large_ones():
    shape, exact = (12,), PredictiveMap(OnGrid((12,), constant=np.inf), 3, 1)
    errors = []
    for constant in (1e3, 1e6):
        M = PredictiveMap(OnGrid(shape, constant=constant), 3, 1)
        errors.append(np.abs(M.restriction - exact.restriction).max())
        errors.append(np.abs(M.prolongation - exact.prolongation).max())
    assert max(errors[2:]) <= 2e-3 * max(errors[:2])  # of first order in 1 / constant
    assert min(errors[:2]) > 1e-6


@pytest.mark.parametrize("kind", [PredictiveMap, JointMap])
@pytest.mark.parametrize("ndim", [1, 2])
def test_the_power_law_keeps_the_sum_of_the_taps(kind, ndim):
    M, s = kind(PowerLaw(2.0), 3, ndim), np.random.default_rng(4).standard_normal((3,) * ndim)
    bound = 9 * 9 * EPS * np.abs(s).sum() * 4  # products with matrices of norm below 4
    assert abs(M.restrict(s).sum() - s.sum()) <= bound
    assert abs(M.prolong(s).sum() - s.sum()) <= bound
    finite = PredictiveMap(PowerLaw(2.0, constant=1.0), 3, ndim)
    assert abs(finite.restrict(s).sum() - s.sum()) > 1e-6


# --- Galerkin with the best prolongation -----------------------------------------------------------


@pytest.mark.parametrize(("shape", "factor"), [((10,), (2,)), ((15,), (3,)), ((6, 10), (2, 2))])
def test_unprojected_it_is_galerkin_with_the_best_prolongation(shape, factor):
    law = OnGrid(shape)
    C, R = circulant(law.power(shape)), restriction_matrix(shape, factor=factor).toarray()
    P = C @ R.T @ np.linalg.inv(RCR := R @ C @ R.T)
    bound = 8 * len(C) * EPS * np.linalg.cond(RCR)
    assert np.abs(R @ P - np.eye(len(R))).max() <= bound  # RP = I, which "linear" lacks
    coarse = tuple(n // f for n, f in zip(shape, factor, strict=True))
    small = np.random.default_rng(5).standard_normal((3,) * len(shape))
    s = np.pad(small, [((n - 3) // 2,) * 2 for n in coarse])  # as wide as the coarse grid: no projection
    s_H = PredictiveMap(law, coarse, len(shape), factor).restrict(s)
    product = R @ convolution_matrix(s, shape).toarray() @ P
    assert np.abs(convolution_matrix(s_H, coarse).toarray() - product).max() <= bound * np.abs(s).sum()


# --- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("ndim", [1, 2])
def test_white_noise_restricts_as_average_does(factor, ndim):
    white = PredictiveMap(PowerLaw(0.0, constant=1.0), 3, ndim, factor)
    assert np.abs(white.restriction - StencilMap(3, ndim, "average", factor).matrix).max() <= 64 * EPS
    keeping = PredictiveMap(PowerLaw(0.0), 3, ndim, factor)  # its columns sum to 1 already
    assert np.abs(white.restriction - keeping.restriction).max() <= 64 * EPS


def trigonometric(width, theta):
    """Rows 1, sin, cos of a tap's place: what a stencil does to the lowest frequency."""
    j = theta * (np.arange(width) - width // 2)
    return np.stack([np.ones(width), np.sin(j), np.cos(j)])


@pytest.mark.parametrize("factor", [2, 3])
def test_very_smooth_images_scale_derivatives(factor):
    """As p grows only the lowest frequency counts; three taps agree on it exactly, both ways."""
    theta = 2 * np.pi / (32 * factor)
    T = np.linalg.solve(trigonometric(3, factor * theta), trigonometric(3, theta))
    M = PredictiveMap(PowerLaw(24.0), 3, 1, factor)
    # The next frequency has 2^-24 of the power, but its share in the second difference is larger.
    tail = 2.0**-24 * 2**6
    assert np.abs(M.restriction - T).max() <= tail
    assert np.abs(M.prolongation @ M.restriction - np.eye(3)).max() <= tail * factor**2 * 4
    scalings = [1, np.sin(theta) / np.sin(factor * theta), (1 - np.cos(theta)) / (1 - np.cos(factor * theta))]
    found = np.sort(np.linalg.eigvals(M.restriction).real)[::-1]
    assert np.abs(found - scalings).max() <= 4 * tail
    # The scalings f^-p of "linear", up to the first frequency squared.
    assert np.abs(found - factor ** -np.arange(3.0)).max() <= (factor * theta) ** 2
    assert np.abs(M.restriction - StencilMap(3, 1, "linear", factor).matrix).max() > 0.1  # not its vectors


def test_each_map_shrinks_what_it_cannot_know():
    M = PredictiveMap(PowerLaw(2.0), 3, 2)
    m, s = M.moments, np.random.default_rng(6).standard_normal(9)
    energy = s @ m.fine @ s
    down = M.restriction @ s
    assert down @ m.coarse @ down < energy  # Pythagoras: the prediction and its error share the energy
    error = M.relative_error(s, down)
    # Where constants are kept, by projection on the taps of sum 0 only.
    N = free_taps(9, True)
    free = N @ N.T @ s
    moved = M.restriction @ free
    share = (moved @ m.coarse @ moved) / (free @ m.fine @ free)
    assert abs(share + M.relative_error(free, moved) - 1) <= 64 * EPS * max(M.condition_numbers)
    assert 0 < error < 1
    back = M.prolongation @ M.restriction
    values = np.sort(np.linalg.eigvals(back).real)
    assert values[0] < 0.9  # no inverses: a round trip multiplies by squared canonical correlations
    assert values[-1] <= 1 + 64 * EPS * max(M.condition_numbers)


# --- the joint map ---------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [1.0, np.inf])
@pytest.mark.parametrize("ndim", [1, 2])
def test_the_joint_map_keeps_energy_and_has_an_inverse(constant, ndim):
    M = JointMap(PowerLaw(2.0, constant), 3, ndim)
    m, T, n = M.moments, M.restriction, 3**ndim
    N = free_taps(n, m.keeps_constants)
    bound = 16 * n * EPS * max(M.condition_numbers)
    assert np.abs(M.prolongation @ T - np.eye(n)).max() <= bound
    assert np.abs(N.T @ (T.T @ m.coarse @ T - m.fine) @ N).max() <= bound * np.abs(m.fine).max()
    predicted = PredictiveMap(PowerLaw(2.0, constant), 3, ndim)
    gap = N.T @ (predicted.restriction.T @ m.coarse @ predicted.restriction - m.fine) @ N
    assert np.abs(gap).max() > 1e3 * bound * np.abs(m.fine).max()  # a prediction does not keep it


def test_no_other_energy_keeping_map_predicts_better():
    M, rng = JointMap(PowerLaw(2.0, 1.0), 3, 1), np.random.default_rng(7)
    m = M.moments

    def error(T):
        """Mean square error over fine stencils whose response is white."""
        E = T.T @ m.coarse @ T - 2 * T.T @ m.mixed + m.fine
        return np.trace(E @ np.linalg.inv(m.fine))

    values, Q = np.linalg.eigh(m.coarse)
    root = (Q * np.sqrt(values)) @ Q.T
    for _ in range(50):
        O = np.linalg.qr(np.eye(3) + 0.5 * rng.standard_normal((3, 3)))[0]
        T = np.linalg.solve(root, O @ root) @ M.restriction  # as O is orthogonal, T^T A T = G again
        assert error(T) >= error(M.restriction) * (1 - 1e-12)


def test_images_that_do_not_tell_taps_apart_have_no_joint_map():
    smooth = Spectrum.of(np.ones((1, 8, 2)))
    with pytest.raises(RefmgError, match="second moments are singular"):
        JointMap(smooth, 3, 1).restrict(np.ones(3))
    assert np.allclose(PredictiveMap(smooth, 3, 1).restrict(np.ones(3)).sum(), 3)  # the smallest solution


# --- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PredictiveMap(PowerLaw(), 4), "expected odd widths"),
        (lambda: PredictiveMap(PowerLaw(-1.0)), "found exponent -1.0"),
        (lambda: PowerLaw(constant=0.0), "expected positive numbers"),
        (lambda: PowerLaw(spacing=(1.0,)).power((4, 4)), "expected one per axis"),
        (lambda: PredictiveMap(Spectrum(np.ones((7, 8)))), "cells that are multiples of the factor"),
        (lambda: Spectrum(np.zeros(4)), "all 0"),
        (lambda: Spectrum(np.array([1.0, np.nan])), "not finite"),
        (lambda: Spectrum(np.ones(4)).power((8,)), "expected that of the images"),
        (lambda: Spectrum.of([]), "found no images"),
        (lambda: Spectrum.of(np.ones((4, 4))), "expected (channels, grid, examples)"),
        (lambda: Spectrum.of([np.ones((1, 4, 1)), np.ones((1, 6, 1))]), "expected one grid"),
        (lambda: PredictiveMap(PowerLaw()).restrict(np.ones((5, 5))), "expected (3, 3)"),
    ],
)
def test_what_makes_no_map_is_refused(make, said):
    with pytest.raises(RefmgError) as caught:
        make()
    assert said in str(caught.value)


def test_a_grid_narrower_than_the_stencil_is_refused():
    with pytest.raises(ClosureError, match="at least as many cells as taps"):
        PredictiveMap(Spectrum(np.ones((4, 4))), 3)


def test_batches_do_not_change_the_spectrum():
    x = np.random.default_rng(8).standard_normal((2, 4, 6, 7))
    whole, parts = Spectrum.of(x), Spectrum.of([x[..., :3], x[..., 3:]], batch_size=2)
    assert np.abs(whole.power((4, 6)) - parts.power((4, 6))).max() <= 64 * EPS * whole.power((4, 6)).max()


def test_a_covariance_is_anything_with_a_grid_and_a_power():
    class White:
        def grid(self, factor):
            return tuple(8 * f for f in factor)

        def power(self, shape):
            return np.ones(shape)

    assert isinstance(White(), Covariance)
    assert isinstance(PowerLaw(), Covariance)
    assert not isinstance(object(), Covariance)
    found = PredictiveMap(White(), 3, 1).restriction
    assert np.abs(found - StencilMap(3, 1, "average").matrix).max() <= 64 * EPS
