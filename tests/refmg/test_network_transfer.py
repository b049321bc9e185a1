"""Whole networks on other grids: names, levels, and the rule for each part."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from refmg import Architecture, network_transfer_names, random_network, transfer_network
from refmg.best_prolongation import BestProlongation
from refmg.classifier import Classifier
from refmg.covariance import PowerLaw, Spectrum
from refmg.exponent import fit_exponent
from refmg.grid_change import GridChange, images_on
from refmg.network_move import weight_move
from refmg.stencil_maps import named_map, stencil_transfer_names
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError

EPS = np.finfo(np.float64).eps
IMAGES = np.random.default_rng(0).random((1, 12, 12, 7))
every_name = pytest.mark.parametrize("name", network_transfer_names())
# "calibrated" fits, and its fits are tested for themselves.
every_moved = pytest.mark.parametrize("name", stencil_transfer_names())
both_ways = pytest.mark.parametrize(("old", "new"), [((12, 12), (6, 6)), ((6, 6), (12, 12))])


def some_network(shape, dtype="float64", **settings):
    a = Architecture(shape, channels=2, classes=3, **settings)
    net, rng = random_network(a, 0, backend="numpy", dtype=dtype), np.random.default_rng(1)
    arrays = (rng.standard_normal(a.classifier_shape), rng.standard_normal(3))
    return net.with_classifier(Classifier(*(x.astype(dtype) for x in arrays)))


def options(name):
    return {"images": IMAGES} if name in ("spectrum", "calibrated") else {}


@every_name
@both_ways
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_name_moves_a_network(name, old, new, dtype):
    start = some_network(old, dtype)
    moved = transfer_network(start, new, name, **options(name))
    assert moved.architecture.shape == new
    assert (moved.dtype, moved.classifier.W.dtype, moved.controls.stencils.dtype) == (dtype,) * 3
    assert np.array_equal(moved.controls.biases, start.controls.biases)
    assert np.isfinite(moved.logits(np.ones((1, *new, 1), dtype))).all()


@every_moved
@both_ways
def test_opening_and_layers_are_moved_by_the_named_map(name, old, new):
    start = some_network(old)
    moved = transfer_network(start, new, name, **options(name))
    M = named_map(name, 3, 2, 2, **options(name))
    move = M.restrict if new < old else M.prolong
    assert np.array_equal(moved.controls.opening, move(start.controls.opening))
    for s, s_moved in zip(start.controls.stencils, moved.controls.stencils, strict=True):
        assert np.array_equal(s_moved, move(s))


@every_name
def test_levels_go_through_the_grids_between(name):
    start = some_network((12, 12))
    at_once = transfer_network(start, (3, 3), name, levels=2, **options(name))
    between = transfer_network(start, (6, 6), name, **options(name))
    halved = {"images": images_on(IMAGES, (6, 6))} if options(name) else {}
    step_by_step = transfer_network(between, (3, 3), name, **halved)
    for part in ("opening", "stencils", "biases"):
        assert np.array_equal(getattr(at_once.controls, part), getattr(step_by_step.controls, part))
    assert np.array_equal(at_once.classifier.W, step_by_step.classifier.W)


def test_two_levels_of_linear_are_not_one_of_four():
    start = some_network((12, 12))
    two, one = (transfer_network(start, (3, 3), levels=n).controls.stencils for n in (2, 1))
    assert np.abs(two - one).max() > 1e-3


def test_an_axis_may_keep_its_cells():
    start = some_network((3, 8))
    moved = transfer_network(start, (3, 4), "average")
    assert np.array_equal(
        moved.controls.opening, named_map("average", 3, 2, (1, 2)).restrict(start.controls.opening)
    )
    assert moved.classifier.W.shape == (2, 3, 4, 3)


# --- the classifier --------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["power-law", PowerLaw(0.0, constant=1.0), Spectrum.of(IMAGES)])
def test_logits_are_predicted_best(transfer):
    """W_H = f^-d P^T W_h solves the least squares of the logits over images with covariance C."""
    change = GridChange.between((12, 12), (6, 6))
    W = np.random.default_rng(2).standard_normal((1, 12, 12, 2))
    found = weight_move(change, transfer, "periodic")(W).reshape(36, 2)
    law = PowerLaw(2.0) if transfer == "power-law" else transfer
    power = law.power((12, 12)).copy()
    power.flat[0] = min(power.flat[0], 1.0)
    F = np.fft.fft2(np.eye(144).reshape(144, 12, 12)).reshape(144, 144) / 12
    root = (F.conj().T @ np.diag(np.sqrt(power.ravel())) @ F).real  # its columns are images
    fine_logits = W.reshape(144, 2).T @ root / 144
    seen = restriction_matrix((12, 12)) @ root / 36
    expected = np.linalg.lstsq(seen.T, fine_logits.T)[0]
    bound = 64 * 144 * EPS * np.linalg.cond(seen) ** 2 * np.abs(expected).max()
    assert np.abs(found - expected).max() <= bound
    assert np.abs(found - 2 * expected).max() > 100 * bound


def test_white_noise_restricts_weights_by_r():
    change, W = GridChange.between((12, 12), (6, 6)), np.random.default_rng(3).random((2, 12, 12, 3))
    white = weight_move(change, PowerLaw(0.0, constant=1.0), "periodic")(W)
    assert np.abs(white - weight_move(change, "average", "periodic")(W)).max() <= 64 * EPS


@pytest.mark.parametrize("name", ["power-law", "unchanged"])
def test_weights_are_prolonged_linearly(name):
    change, W = GridChange.between((6, 6), (12, 12)), np.random.default_rng(4).random((1, 6, 6, 3))
    expected = prolongation_matrix((12, 12), "linear") @ W.reshape(36, 3)
    assert np.array_equal(weight_move(change, name, "periodic")(W).reshape(144, 3), expected)


@every_moved
@both_ways
def test_constant_images_keep_the_h_d_scale(name, old, new):
    """The sum of h^d W, the logits of constant features, is that of the old grid."""
    start = some_network(old)
    moved = transfer_network(start, new, name, **options(name))
    sums = [n.classifier.W.sum(axis=(1, 2)) / prod(n.architecture.shape) for n in (start, moved)]
    assert np.abs(sums[0] - sums[1]).max() <= 144 * EPS * np.abs(start.classifier.W).max()


@pytest.mark.parametrize(("shape", "factor"), [((12,), (3,)), ((8, 6), (4, 2))])
def test_the_best_prolongation_is_the_explicit_one(shape, factor):
    law = PowerLaw(2.0, constant=1.0)
    N = prod(shape)
    F = np.fft.fftn(np.eye(N).reshape(N, *shape), axes=range(1, len(shape) + 1)).reshape(N, N) / np.sqrt(N)
    C, R = (F.conj().T @ np.diag(law.power(shape).ravel()) @ F).real, restriction_matrix(shape, factor=factor)
    RCR = R @ C @ R.T.toarray()
    expected = C @ R.T @ np.linalg.inv(RCR)
    P = BestProlongation(law, shape, factor)
    bound = 16 * N * EPS * np.linalg.cond(RCR)
    assert np.abs(P.matrix() - expected).max() <= bound
    assert np.abs(R @ P.matrix() - np.eye(R.shape[0])).max() <= bound  # RP = I
    assert np.abs(P.apply_transpose(np.eye(N)) - expected.T).max() <= bound
    infinite = BestProlongation(PowerLaw(2.0), shape, factor)
    assert np.abs(infinite.matrix() - expected).max() <= bound  # it does not depend on the constant


# --- exponents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 1.3, 3.0])
def test_the_exponent_of_a_power_law_is_found_from_images(p):
    """Images whose discrete spectrum is the law exactly: random phases, given moduli."""
    rng, shape = np.random.default_rng(5), (16, 8)
    power = PowerLaw(p, constant=1.0).power(shape)
    noise = np.fft.fft2(rng.standard_normal((5, *shape)))
    x = np.fft.ifft2(noise / np.abs(noise) * np.sqrt(power)).real
    found = fit_exponent(np.moveaxis(x, 0, -1)[None], batch_size=2)
    assert abs(found - p) <= 1e3 * EPS * (1 + p)


def test_spacing_decides_what_a_frequency_is():
    spectrum = Spectrum(PowerLaw(2.0, constant=1.0, spacing=(1.0, 0.25)).power((8, 8)))
    assert abs(fit_exponent(spectrum, spacing=(1.0, 0.25)) - 2) <= 1e3 * EPS
    assert abs(fit_exponent(spectrum) - 2) > 0.1


def test_constant_images_have_no_exponent():
    with pytest.raises(RefmgError, match="fewer than two frequencies"):
        fit_exponent(np.ones((1, 8, 8, 2)))


# --- changes of grid -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"), [((8, 8), (6, 6)), ((8, 8), (4, 16)), ((8,), (4, 4)), ((8, 8), (0, 8)), ((8, 8), (8, 8))]
)
def test_grids_that_are_no_levels_are_refused(old, new):
    with pytest.raises(RefmgError, match="expected one grid to be a multiple of the other"):
        GridChange.between(old, new)


def test_images_of_another_grid_are_refused():
    with pytest.raises(RefmgError, match=r"on the grid of \(5, 5\) cells or on a multiple"):
        images_on(IMAGES, (5, 5))
    with pytest.raises(RefmgError, match="at least one example"):
        images_on(IMAGES[..., :0], (12, 12))


# --- backends --------------------------------------------------------------------------------------


@every_name
@pytest.mark.parametrize("layer", ["residual", "hamiltonian"])
def test_every_backend_moves_a_network_alike(name, backend, layer):
    a = Architecture((12, 12), channels=2, classes=3, layer=layer)
    there, here = (
        transfer_network(random_network(a, 0, backend=b, dtype="float64"), (6, 6), name, **options(name))
        for b in (backend, "numpy")
    )
    for part in ("opening", "stencils", "biases"):
        found = there.backend.to_numpy(getattr(there.controls, part))
        # The features behind a calibration are rounded in another order.
        assert np.abs(found - getattr(here.controls, part)).max() <= 1e-9
