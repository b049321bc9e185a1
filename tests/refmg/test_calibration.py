"""Calibration: where the answer is known, where it is the prior, and against one dense least squares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from refmg import Architecture, Calibration, StencilMap, random_network, transfer_network
from refmg.calibration import StencilFit, calibrated_network, check_control_times, tap_operators
from refmg.calibration.classifier_fit import fit_classifier
from refmg.classifier import Classifier
from refmg.convolution import convolution_matrix
from refmg.grid_change import GridChange
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError

EPS = np.finfo(np.float64).eps
every_boundary = pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
every_layer = pytest.mark.parametrize(
    ("layer", "integrator"),
    [
        ("residual", "euler"),
        ("residual", "rk4"),
        ("residual", "leapfrog"),
        ("symmetric", "euler"),
        ("hamiltonian", "euler"),
        ("hamiltonian", "verlet"),
    ],
)


def some_network(shape=(8, 8), seed=0, **settings):
    """A network with a classifier that is not zero."""
    a = Architecture(shape, channels=4, classes=3, **settings)
    net, rng = random_network(a, seed, backend="numpy"), np.random.default_rng(seed)
    W, mu = rng.standard_normal(a.classifier_shape), rng.standard_normal(3)
    return net.with_classifier(Classifier(W, mu))


def random_images(shape, m=6, seed=1):
    return np.random.default_rng(seed).standard_normal((1, *shape, m))


# --- one stencil -----------------------------------------------------------------------------------


@every_boundary
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("restricted", [False, True])
def test_the_streamed_fit_is_one_dense_least_squares(boundary, stride, restricted):
    rng, shape, channels = np.random.default_rng(2), (8, 4), (3, 2)
    outputs = tuple(n // stride for n in shape)
    R = restriction_matrix(outputs) if restricted else None
    operators = tap_operators((3, 3), shape, boundary, stride, R)
    cells = operators[0].shape[0]
    Y, goal = rng.standard_normal((2, 32, 40)), rng.standard_normal((3, cells, 40))
    prior, ridge = rng.standard_normal((*channels, 3, 3)), 0.3
    fit = StencilFit(operators, 2, 3)
    for i in range(0, 40, 15):
        fit.add(Y[..., i : i + 15], goal[..., i : i + 15])
    found = fit.solve(prior, ridge)

    # Column (i, j) of the design: what tap j of input channel i does to all outputs of all examples.
    columns = []
    for i in range(2):
        for unit in np.eye(9).reshape(9, 3, 3):
            K = convolution_matrix(unit, shape, boundary, stride)
            columns.append(((R @ K if restricted else K) @ Y[i]).ravel())
    design = np.array(columns).T
    weight = np.sqrt(ridge * np.sum(design**2) / 18)
    stacked = np.vstack([design, weight * np.eye(18)])
    for o in range(3):
        right = np.concatenate([goal[o].ravel(), weight * prior[o].ravel()])
        expected = np.linalg.lstsq(stacked, right)[0]
        bound = 8 * len(design) * EPS * np.linalg.cond(stacked) ** 2 * np.abs(expected).max()
        assert np.abs(found[o].ravel() - expected).max() <= bound
        assert np.abs(found[o] - prior[o]).max() > 0.01


def test_what_no_input_excites_is_the_prior_s():
    fit = StencilFit(tap_operators((3,), (6,)), 1, 1)
    fit.add(np.ones((1, 6, 2)), np.full((1, 6, 2), 6.0))  # constants see the sum of the taps alone
    assert np.abs(fit.solve(np.array([[[1.0, 0.0, -1.0]]])) - [[[3.0, 2.0, 1.0]]]).max() <= 64 * EPS


# --- networks --------------------------------------------------------------------------------------


def piecewise_constant(shape, m=12):
    """Fine images without detail: R K_h P = K_H is exact on them for the pair "average"."""
    coarse = random_images(tuple(n // 2 for n in shape), m, seed=3)
    P = prolongation_matrix(shape, "average")
    return (P @ coarse.reshape(-1, m)).reshape(1, *shape, m)


def test_images_without_detail_give_back_the_galerkin_map():
    fine = some_network((12, 12))
    x = piecewise_constant((12, 12))
    moved = transfer_network(fine, (6, 6), Calibration("unchanged", ridge=0.0), images=x)
    expected = StencilMap(transfer="average").restrict(fine.controls.opening)
    fit = StencilFit(tap_operators((3, 3), (6, 6)), 1, 4)
    coarse = (restriction_matrix((12, 12)) @ x.reshape(144, -1))[None]
    fit.add(coarse, np.zeros((4, *coarse.shape[1:])))
    bound = 8 * coarse.size * EPS * fit.condition_number * np.abs(expected).max()
    assert np.abs(moved.controls.opening - expected).max() <= bound
    other = StencilMap(transfer="linear").restrict(fine.controls.opening)
    assert np.abs(moved.controls.opening - other).max() > 1e3 * bound


@pytest.mark.parametrize(("old", "new"), [((8, 8), (4, 4)), ((4, 4), (8, 8))])
@every_layer
def test_a_large_ridge_gives_the_prior(old, new, layer, integrator):
    net = some_network(old, layer=layer, integrator=integrator)
    x = random_images((8, 8))
    settings = Calibration("linear", ridge=1e14, classifier_ridge=1e14)
    moved, prior = (transfer_network(net, new, t, images=x) for t in (settings, "linear"))
    scale = max(np.abs(prior.controls.stencils).max(), 1)
    assert np.abs(moved.controls.stencils - prior.controls.stencils).max() <= 1e-9 * scale
    assert np.abs(moved.controls.opening - prior.controls.opening).max() <= 1e-9 * scale
    assert np.abs(moved.classifier.W - prior.classifier.W).max() <= 1e-9 * np.abs(prior.classifier.W).max()
    assert np.array_equal(moved.controls.biases, net.controls.biases)
    near = transfer_network(net, new, Calibration("linear"), images=x)
    assert np.abs(near.controls.stencils - prior.controls.stencils).max() > 1e-4


def responses(net, x):
    """Final features and logits."""
    return net.propagation.apply(x), net.logits(x)


@pytest.mark.parametrize(("old", "new"), [((8, 8), (4, 4)), ((4, 4), (8, 8))])
@every_boundary
@every_layer
def test_a_calibrated_network_responds_more_like_the_old_one(old, new, boundary, layer, integrator):
    net = some_network(old, boundary=boundary, layer=layer, integrator=integrator)
    # Of white noise a coarse grid knows too little: smooth images.
    x, unseen = (
        gaussian_filter(random_images((8, 8), m, seed), (0, 1, 1, 0), mode="wrap")
        for m, seed in ((200, 4), (50, 5))
    )
    R = restriction_matrix((8, 8), boundary=boundary)

    def on(shape):
        return unseen if shape == (8, 8) else (R @ unseen[0].reshape(64, -1)).reshape(1, 4, 4, -1)

    def error(moved):
        return np.linalg.norm(responses(moved, on(new))[1] - responses(net, on(old))[1])

    calibrated = transfer_network(net, new, "calibrated", images=x)
    prior = transfer_network(net, new, "power-law")
    assert error(calibrated) < 0.9 * error(prior)


def test_batches_do_not_change_the_result():
    net, x = some_network(), random_images((8, 8), 20)
    one, many = (
        transfer_network(net, (4, 4), Calibration(batch_size=size), images=x).controls.stencils
        for size in (20, 7)
    )
    assert np.abs(one).max() > 0
    # Sums of the same numbers in another order, through normal equations with a ridge of 1e-2 or less.
    assert np.abs(one - many).max() <= 1e-9 * np.abs(one).max()


def test_coarse_images_may_be_given():
    net, x = some_network(), random_images((8, 8), 20)
    means = (restriction_matrix((8, 8)) @ x.reshape(64, -1)).reshape(1, 4, 4, -1)
    default, same, other = (
        transfer_network(net, (4, 4), "calibrated", images=x, coarse_images=c).controls.opening
        for c in (None, means, 2 * means)
    )
    assert np.array_equal(default, same)
    assert np.abs(default - other).max() > 0.01


def test_controls_at_every_second_step_are_calibrated_at_their_time():
    net = some_network(layers=4, control_nodes=2)
    x = random_images((8, 8), 50)
    moved = transfer_network(net, (4, 4), "calibrated", images=x)
    prior = transfer_network(net, (4, 4), "power-law")
    for j in range(2):
        assert np.abs(moved.controls.stencils[j] - prior.controls.stencils[j]).max() > 1e-4


# --- the classifier --------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [5, 40])  # fewer examples than weights, and more
def test_the_classifier_is_one_dense_ridge_regression(m):
    rng = np.random.default_rng(6)
    Y, logits, prior = (rng.standard_normal(shape) for shape in ((12, m), (3, m), (12, 3)))
    W, mu = fit_classifier(Y, logits, prior, 0.1)
    centred = Y - Y.mean(axis=1, keepdims=True)
    weight = np.sqrt(0.1 * np.sum(centred**2) / m)
    # Unknowns (W, mu); the biases carry no ridge.
    design = np.vstack([np.hstack([Y.T, np.ones((m, 1))]), weight * np.eye(12, 13)])
    expected = np.linalg.lstsq(design, np.vstack([logits.T, weight * prior]))[0]
    bound = 64 * EPS * np.linalg.cond(design) ** 2 * np.abs(expected).max()
    assert np.abs(np.vstack([W, mu]) - expected).max() <= bound
    assert np.abs(W - prior).max() > 0.01


def test_one_example_moves_the_biases_only():
    prior = np.ones((2, 1))
    W, mu = fit_classifier(np.array([[1.0], [2.0]]), np.array([[5.0]]), prior, 0.1)
    assert np.array_equal(W, prior)
    assert np.array_equal(mu, [2.0])


# --- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["calibrated", "spectrum", Calibration()])
@pytest.mark.parametrize("which", ["images", "coarse_images"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_images_that_are_not_finite_are_refused_by_number(transfer, which, bad):
    images = {"images": random_images((8, 8)), "coarse_images": random_images((4, 4))}
    images[which][0, 1, 2, 3] = bad
    with pytest.raises(RefmgError, match=f"found NaN or infinity in {which}, example 3"):
        transfer_network(some_network(), (4, 4), transfer, **images)


@pytest.mark.parametrize("which", ["images", "coarse_images"])
def test_images_of_other_channels_are_refused(which):
    images = {"images": random_images((8, 8)), "coarse_images": random_images((4, 4))}
    images[which] = np.repeat(images[which], 3, axis=0)
    with pytest.raises(RefmgError, match=rf"found {which} of shape \(3, .* expected .* 1 channels, 2 axes"):
        transfer_network(some_network(), (4, 4), "calibrated", **images)
    # A spectrum is that of all channels; the other transfers look at no images.
    transfer_network(some_network(), (4, 4), "spectrum", **images)
    transfer_network(some_network(), (4, 4), "linear", images=np.full((3, 8, 8, 1), np.nan))


@pytest.mark.parametrize("shape", [(1, 8, 6), (1, 8, 8, 0), (1, 8, 8, 8, 6)])
def test_images_of_other_axes_or_none_are_refused(shape):
    for transfer in ("calibrated", "spectrum"):
        with pytest.raises(RefmgError, match="at least one example"):
            transfer_network(some_network(), (4, 4), transfer, images=np.ones(shape))


def test_complex_images_are_refused():
    with pytest.raises(RefmgError, match="found images of type complex128"):
        transfer_network(some_network(), (4, 4), "calibrated", images=random_images((8, 8)) + 0j)


def test_a_network_that_is_not_finite_is_refused():
    network = some_network()
    for spoilt in (
        replace(network, controls=replace(network.controls, opening=network.controls.opening * np.nan)),
        network.with_classifier(Classifier(network.classifier.W * np.nan, network.classifier.mu)),
    ):
        with pytest.raises(RefmgError, match=r"NaN or infinite|nan"):
            transfer_network(spoilt, (4, 4), Calibration("unchanged"), images=random_images((8, 8)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: transfer_network(some_network(), (4, 4), "calibrated"), "'calibrated' needs images"),
        (lambda: transfer_network(some_network(), (4, 4), "spectrum"), "'spectrum' needs images"),
        (
            lambda: transfer_network(some_network(), (4, 4), "calibrated", images=random_images((4, 4))),
            "found images of shape (1, 4, 4, 6)",
        ),
        (
            lambda: transfer_network(
                some_network(),
                (4, 4),
                "calibrated",
                images=random_images((8, 8)),
                coarse_images=random_images((4, 4), 2),
            ),
            "found 6 fine and 2 coarse images",
        ),
        (
            lambda: transfer_network(
                some_network(layers=3, control_nodes=2), (4, 4), "calibrated", images=random_images((8, 8))
            ),
            "found 2 controls for 3 steps",
        ),
        (lambda: Calibration(ridge=-1.0), "expected finite numbers"),
        (lambda: Calibration(classifier_ridge=0.0), "the second positive"),
        (lambda: Calibration(batch_size=0), "found batches of 0"),
        (lambda: Calibration(smoothness=-1.0), "found smoothness -1.0"),
        (lambda: Calibration(kept_bytes=-1), "found kept_bytes -1"),
        (lambda: transfer_network(some_network(), (4, 4), "calibrate"), "did you mean 'calibrated'?"),
        (lambda: transfer_network(some_network(), (4, 4), levels=2), "found 2 levels for the factor (2, 2)"),
        (lambda: transfer_network(some_network(), (4, 4), levels=0), "found 0 levels"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, said):
    with pytest.raises(RefmgError) as caught:
        call()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_penalty_is_more_rows_of_the_least_squares_problem():
    rng = np.random.default_rng(8)
    Y, G = rng.normal(size=(2, 8, 5)), rng.normal(size=(3, 8, 5))
    T, D = tap_operators((3,), (8,)), tap_operators((3,), (8,), "zero")
    fit = StencilFit(T, 2, 3)
    fit.add(Y, G)
    fit.penalize(Y, D, 0.25)
    rows = [
        np.concatenate([weight * np.stack([A @ y for y in Y for A in operators]).reshape(6, -1)], axis=1)
        for operators, weight in ((T, 1.0), (D, 0.5))
    ]
    goals = np.concatenate([G.reshape(3, -1), np.zeros((3, 40))], axis=1)
    expected = np.linalg.lstsq(np.concatenate(rows, axis=1).T, goals.T)[0].T.reshape(3, 2, 3)
    # Normal equations lose twice the digits of the condition number, here below 10.
    assert np.abs(fit.solve(np.zeros((3, 2, 3))) - expected).max() < 1e4 * EPS


def test_smoothness_evens_responses_within_coarse_cells_and_only_to_the_finer_grid():
    net, x = some_network(), random_images((16, 16), 20)
    P, R = prolongation_matrix((16, 16), "average"), restriction_matrix((16, 16), "average")
    roughness = []
    for smoothness in (0.0, 0.5, 50.0):
        fine = transfer_network(net, (16, 16), Calibration(smoothness=smoothness), images=x)
        first = fine.propagation.opening.apply(x).reshape(4, 256, -1)
        roughness.append(sum(np.sum((y - P @ (R @ y)) ** 2) / np.sum(y**2) for y in first))
    assert roughness[0] > roughness[1] > roughness[2]
    coarse = [
        transfer_network(net, (4, 4), Calibration(smoothness=mu), images=random_images((8, 8)))
        for mu in (0.0, 5.0)
    ]
    assert np.array_equal(coarse[0].classifier.W, coarse[1].classifier.W)


def test_a_calibrated_network_is_what_the_transfer_of_that_name_gives():
    net, fine = some_network(), random_images((8, 8))
    change = GridChange.between((8, 8), (4, 4))
    coarse = fine.reshape(1, 4, 2, 4, 2, -1).mean(axis=(2, 4))
    settings = Calibration()
    found = calibrated_network(net, change, fine, coarse, settings)
    named = transfer_network(net, (4, 4), settings, images=fine)
    assert found.architecture.shape == (4, 4)
    assert np.allclose(found.controls.flat(np), named.controls.flat(np), rtol=1e-10, atol=1e-12)
    other = calibrated_network(net, change, fine, coarse, Calibration(ridge=10.0))
    assert not np.allclose(other.controls.flat(np), found.controls.flat(np))


def test_controls_need_the_time_of_a_step():
    check_control_times(Architecture((8, 8), layers=4, control_nodes=2))
    with pytest.raises(RefmgError, match="found 3 controls for 4 steps; expected a divisor"):
        check_control_times(Architecture((8, 8), layers=4, control_nodes=3))
