"""Objectives over any number of examples: fixed memory, the same result; and what SciPy sees."""

import tracemalloc

import numpy as np
import pytest
import scipy.optimize
from every_backend import named

from refmg import (
    Architecture,
    Batches,
    ControlObjective,
    NetworkObjective,
    RefmgError,
    Regularization,
    get_backend,
    random_network,
)
from refmg.batches import Batch, cut
from refmg.checks import taylor_test
from refmg.losses import LOSSES

EPS = np.finfo(float).eps
WEIGHTS = Regularization(1e-2, 1e-2, 1e-2)


def network(**changes):
    return random_network(Architecture((8, 8), channels=2, classes=2, **changes), 0, "numpy", "float64")


def batches(net, m, size, seed=0):
    x = np.random.default_rng(seed).normal(size=(1, 8, 8, m))
    return Batches(x, np.arange(m) % 2, 2, size, net.backend, "float64")


def trained(objective):
    rng = np.random.default_rng(4)
    at = objective.vector(objective.start)
    return at + 0.3 * rng.normal(size=at.shape)


@pytest.mark.parametrize("kind", [NetworkObjective, ControlObjective])
@pytest.mark.parametrize("storage", ["all", "checkpoint"])
def test_the_result_does_not_depend_on_the_batch_size(kind, storage):
    net, m = network(), 24
    found = []
    for size in (1, 5, 24):
        objective = kind(net, batches(net, m, size), WEIGHTS, storage=storage)
        at = trained(objective)
        v = np.random.default_rng(6).normal(size=at.shape)
        evaluation, gradient = objective.evaluate_with_gradient(at)
        found.append((evaluation.objective, gradient, objective.gauss_newton(at)(v), evaluation.accuracy))
    for value, gradient, product, accuracy in found[1:]:
        # Sums of 24 terms in another order, each of some hundred products.
        assert value == pytest.approx(found[0][0], rel=24 * EPS)
        assert np.linalg.norm(gradient - found[0][1]) <= 500 * EPS * np.linalg.norm(gradient)
        assert np.linalg.norm(product - found[0][2]) <= 500 * EPS * np.linalg.norm(product)
        assert accuracy == found[0][3]


def test_memory_does_not_grow_with_the_number_of_examples():
    net, peaks = network(layers=8), []
    for m in (64, 1024):
        data = batches(net, m, 16)
        objective = NetworkObjective(net, data)
        at = objective.vector(net)
        objective.value_and_gradient(at)
        tracemalloc.start()
        objective.value_and_gradient(at)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_memory_mapped_file_is_read_batch_by_batch(tmp_path):
    net = network()
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 40))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    ours, theirs = (Batches(a, np.arange(40) % 2, 2, 7, net.backend, "float64") for a in (x, mapped))
    at = NetworkObjective(net, ours).vector(net)
    assert np.array_equal(
        NetworkObjective(net, ours).value_and_gradient(at)[1],
        NetworkObjective(net, theirs).value_and_gradient(at)[1],
    )


@pytest.mark.parametrize("loss", sorted({*LOSSES} - {"hinge"}))
def test_the_joint_gradient_belongs_to_the_objective(loss):
    net = network()
    objective = NetworkObjective(net, batches(net, 6, 4), WEIGHTS, loss)
    at = trained(objective)
    _, gradient = objective.value_and_gradient(at)
    rng = np.random.default_rng(2)
    assert taylor_test(objective.value, at, rng, gradient, first_step=1e-2).passed
    assert not taylor_test(objective.value, at, rng, 1.001 * gradient, first_step=1e-2).passed


def test_gauss_newton_of_a_linear_network_with_least_squares_in_the_classifier_is_the_hessian():
    net = network(activation="identity")
    objective = NetworkObjective(net, batches(net, 6, 4), WEIGHTS, "least-squares")
    at, v = trained(objective), np.zeros_like(trained(objective))
    # Along the classifier alone the logits are linear, so J^T H J is the whole Hessian.
    size = net.controls.size
    v[size:] = np.random.default_rng(1).normal(size=v.size - size)
    _, gradient = objective.value_and_gradient(at)
    test = taylor_test(
        objective.value,
        at,
        np.random.default_rng(0),
        gradient,
        first_step=1e-2,
    )
    assert test.passed
    curved = objective.gauss_newton(at)(v)
    ahead, behind = (objective.value_and_gradient(at + s * v)[1][size:] for s in (0.5, -0.5))
    assert np.linalg.norm(ahead - behind - curved[size:]) <= 1e4 * EPS * np.linalg.norm(curved)


def test_scipy_can_minimise_the_objective_with_our_products():
    net = network()
    objective = NetworkObjective(net, batches(net, 20, 8), WEIGHTS)
    start = objective.vector(net)
    found = scipy.optimize.minimize(
        objective.value_and_gradient,
        start,
        jac=True,
        hessp=lambda x, v: objective.hessian_product(x) @ v,
        method="Newton-CG",
        options={"maxiter": 5},
    )
    assert found.fun < objective.value(start)
    operator = objective.hessian_product(start)
    assert operator.shape == (start.size, start.size)
    u, v = np.random.default_rng(0).normal(size=(2, start.size))
    assert u @ (operator @ v) == pytest.approx(v @ (operator @ u), rel=1e-9)


def test_bad_examples_are_refused():
    net = network()
    x = np.zeros((1, 8, 8, 4))
    x[0, 3, 3, 2] = np.nan
    data = Batches(x, np.arange(4) % 2, 2, 2, net.backend, "float64")
    with pytest.raises(RefmgError, match="not finite in the examples 2 to 3"):
        NetworkObjective(net, data).value(NetworkObjective(net, data).vector(net))
    with pytest.raises(RefmgError, match="found 4 images and 3 labels"):
        Batches(x, np.arange(3) % 2, 2, 2, net.backend, "float64")
    with pytest.raises(RefmgError, match="found batches of 0 examples"):
        Batches(x, np.arange(4) % 2, 2, 0, net.backend, "float64")
    with pytest.raises(RefmgError, match="unknown loss"):
        NetworkObjective(net, data, loss="l2")


# --- batches that suit the kernels ----------------------------------------------------------------


def numbered(*sizes):
    """Batches whose examples are numbered, in order."""
    ends = np.cumsum(sizes)
    return [
        Batch(np.arange(e - n, e, dtype=float)[None], np.ones((2, n)))
        for n, e in zip(sizes, ends, strict=True)
    ]


@pytest.mark.parametrize("sizes", [(1,), (16,), (44,), (128,), (300, 5), (512, 512, 100), (143,)])
@pytest.mark.parametrize("backend", ["numpy", named("numba")])
def test_cut_batches_hold_the_same_examples(sizes, backend):
    place = get_backend(backend)
    pieces = list(cut(place, numbered(*sizes)))
    assert np.concatenate([b.x[0] for b in pieces]).tolist() == list(range(sum(sizes)))
    assert all(b.size == b.targets.shape[1] for b in pieces)
    if backend == "numpy":
        assert [b.size for b in pieces] == list(sizes)
    else:
        assert all(b.size <= place.examples for b in pieces)
        # What does not fill vectors is less than one vector, and alone.
        assert all(b.size < place.lanes for b in pieces if b.size % place.lanes)


@pytest.mark.parametrize("backend", [named("numba")])
@pytest.mark.parametrize(("channels", "whole"), [(2, True), (64, False)])
def test_a_rest_comes_alone_only_where_kernels_take_whole_vectors(backend, channels, whole):
    propagation = random_network(Architecture((8, 8), channels=channels), 0, backend).propagation
    assert (propagation.whole is not None) == whole
    lanes = propagation.backend.lanes
    pieces = cut(propagation.backend, numbered(7 * lanes + 1), propagation.lanes)
    assert [b.size for b in pieces] == ([7 * lanes + 1] if whole else [7 * lanes, 1])


@pytest.mark.parametrize("backend", ["numpy", named("numba")])
def test_an_empty_batch_stays_one(backend):
    assert [b.size for b in cut(get_backend(backend), numbered(0))] == [0]


@pytest.mark.parametrize("backend", ["numpy", named("numba")])
@pytest.mark.parametrize("kind", [ControlObjective, NetworkObjective])
def test_an_empty_batch_adds_nothing(backend, kind):
    net = random_network(Architecture((4, 4), channels=2, classes=2), 0, backend, "float64")
    assert net.logits(net.backend.asarray(np.zeros((1, 4, 4, 0)))).shape == (2, 0)
    x, targets = np.ones((1, 4, 4, 3)), np.eye(2)[:, [0, 1, 1]]
    full, empty = Batch(x, targets), Batch(x[..., :0], targets[:, :0])
    with_empty, alone = kind(net, [full, empty]), kind(net, [full])
    at = alone.vector(net) + 0.1
    assert with_empty.value_and_gradient(at)[0] == alone.value_and_gradient(at)[0]
    assert np.array_equal(with_empty.value_and_gradient(at)[1], alone.value_and_gradient(at)[1])


@pytest.mark.parametrize("backend", ["numpy", named("numba")])
def test_whole_batches_are_not_copied(backend):
    (batch,) = numbered(128)
    assert next(iter(cut(get_backend(backend), [batch]))) is batch
