"""Optimisation, training, resumption, and networks moved across resolutions."""

import numpy as np
import pytest

from refmg import (
    Architecture,
    ClosureError,
    Network,
    RefmgError,
    Regularization,
    StencilMap,
    load_network,
    random_network,
    save_network,
    transfer_network,
)
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.optimization import TrainingSettings, armijo, block_coordinate_descent, conjugate_gradient

SETTINGS = TrainingSettings(
    iterations=3,
    newton_steps=2,
    hessian_examples=20,
    batch_size=16,
    regularization=Regularization(1e-4, 1e-4, 1e-4),
)


def stripes(examples=60, n=8, seed=0):
    """Vertical and horizontal stripes with noise: two classes that a small network can tell apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, examples)
    wave = np.sin(2 * np.pi * np.arange(n) / n)
    pictures = [np.tile(wave, (n, 1)) if c else np.tile(wave[:, None], (1, n)) for c in labels]
    x = np.stack(pictures, axis=-1)[None] + 0.3 * rng.normal(size=(1, n, n, examples))
    return x, labels


def network(**changes):
    return random_network(Architecture((8, 8), channels=3, classes=2, **changes), 0, "numpy", "float64")


def test_cg_solves_a_definite_system_in_n_steps():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6))
    A = A @ A.T + np.eye(6)
    b = rng.normal(size=6)
    result = conjugate_gradient(np, lambda v: A @ v, b, max_iterations=6, tolerance=0)
    assert np.allclose(A @ result.x, b, atol=1e6 * np.finfo(float).eps)


def test_cg_stops_at_negative_curvature_with_a_descent_direction():
    A = np.diag([1.0, -1.0])
    b = np.array([1.0, 0.5])
    result = conjugate_gradient(np, lambda v: A @ v, b, max_iterations=9, tolerance=0)
    assert result.reason == "curvature"
    assert result.x @ b > 0


def test_cg_with_the_exact_preconditioner_needs_one_step():
    d = np.array([1.0, 100.0, 1e4])
    result = conjugate_gradient(np, lambda v: d * v, np.ones(3), lambda v: v / d, tolerance=1e-8)
    assert result.iterations == 1


def test_armijo_refuses_ascent_and_nan():
    assert armijo(lambda t: 1.0, 1.0, 1.0).step == 0
    assert armijo(lambda t: float("nan"), 1.0, -1.0).step == 0


def test_training_learns_and_generalises(backend):
    x, labels = stripes()
    start = random_network(Architecture((8, 8), channels=3, classes=2), 0, backend, "float64")
    steps = list(block_coordinate_descent(start, x, labels, SETTINGS))
    assert [step.number for step in steps] == [0, 1, 2, 3]
    assert steps[-1].loss < steps[0].loss
    unseen, classes = stripes(seed=1)
    assert steps[-1].network.accuracy(unseen, classes) > 0.9


def test_backends_train_the_same_network():
    x, labels = stripes()
    ends = []
    for backend in ("numpy", "array-api-strict"):
        start = random_network(Architecture((8, 8), channels=3, classes=2), 0, backend, "float64")
        *_, end = block_coordinate_descent(start, x, labels, SETTINGS)
        ends.append(end.loss)
    # Rounding differs; 3 iterations of inexact steps amplify it, but not to the seventh digit.
    assert ends[0] == pytest.approx(ends[1], rel=1e-7)


def test_training_with_permuted_labels_does_not_generalise():
    x, labels = stripes()
    wrong = np.random.default_rng(3).permutation(labels)
    *_, end = block_coordinate_descent(network(), x, wrong, SETTINGS)
    unseen, classes = stripes(seed=1)
    assert end.network.accuracy(unseen, classes) < 0.8


def test_a_resumed_run_is_the_same_to_the_last_bit(tmp_path):
    x, labels = stripes()
    whole = list(block_coordinate_descent(network(), x, labels, SETTINGS))
    save_network(tmp_path / "net", whole[1].network)
    middle, _ = load_network(tmp_path / "net", "numpy")
    rest = list(block_coordinate_descent(middle, x, labels, SETTINGS, done=1))
    assert [step.number for step in rest] == [2, 3]
    assert np.array_equal(rest[-1].network.classifier.W, whole[-1].network.classifier.W)
    assert np.array_equal(rest[-1].network.controls.stencils, whole[-1].network.controls.stencils)


@pytest.mark.parametrize("transfer", ["linear", "average", "full-weighting"])
@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_down_after_up_gives_the_stencils_back(transfer, boundary):
    start = network(boundary=boundary)
    there = transfer_network(start, (16, 16), transfer)
    back = transfer_network(there, (8, 8), transfer)
    bound = 9 * np.finfo(float).eps * StencilMap(transfer=transfer).condition_number
    assert np.allclose(back.controls.stencils, start.controls.stencils, rtol=0, atol=bound)
    assert np.array_equal(back.controls.biases, start.controls.biases)


def test_unchanged_keeps_stencils_and_moves_the_classifier():
    start = network()
    W = np.random.default_rng(0).normal(size=start.classifier.W.shape)
    start = start.with_classifier(Classifier(W, start.classifier.mu))
    moved = transfer_network(start, (16, 16), "unchanged")
    assert np.array_equal(moved.controls.stencils, start.controls.stencils)
    assert np.array_equal(moved.classifier.W, transfer_network(start, (16, 16), "linear").classifier.W)


def test_constant_images_get_the_same_logits_at_both_resolutions():
    start = network()
    W = np.random.default_rng(0).normal(size=start.classifier.W.shape)
    start = start.with_classifier(Classifier(W, start.classifier.mu))
    moved = transfer_network(start, (16, 16), "linear")
    here, there = (net.logits(np.full((1, *net.architecture.shape, 1), 0.4)) for net in (start, moved))
    # A constant image sees only the sum of the taps, which the linear pair keeps.
    assert np.allclose(here, there, rtol=0, atol=1e3 * np.finfo(float).eps)


def test_moves_that_make_no_sense_are_refused():
    start = network()
    with pytest.raises(RefmgError, match="to be moved to \\(12, 12\\)"):
        transfer_network(start, (12, 12))
    with pytest.raises(RefmgError, match="unknown transfer 'liner'"):
        transfer_network(start, (16, 16), "liner")
    with pytest.raises(ClosureError, match="found a coarse grid of \\(2, 2\\)"):
        transfer_network(start, (2, 2))


def test_parameters_of_another_architecture_are_refused():
    start = network()
    with pytest.raises(RefmgError, match="found stencils of shape"):
        Network(
            Architecture((8, 8), channels=3, classes=2, layers=5),
            start.controls,
            start.classifier,
            start.backend,
        )
    with pytest.raises(RefmgError, match="found opening"):
        start.with_controls(Controls(np.zeros((1, 1, 3, 3)), start.controls.stencils, start.controls.biases))
