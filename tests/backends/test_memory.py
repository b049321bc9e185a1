"""What does not fit into memory is done in halves, with a warning and the same numbers."""

import gc

import numpy as np
import pytest
from array_api_compat import numpy as xp

from refmg import Architecture, get_backend, random_network
from refmg.batches import Batch, Batches, mapped
from refmg.halving import in_halves
from refmg.objective import ControlObjective, NetworkObjective
from refmg.optimization import TrainingSettings, block_coordinate_descent, classifier_steps
from refmg.trajectory import Trajectory
from refmg_backends import ArrayBackend

EPS = np.finfo(float).eps


def objective_on(backend, examples=12, size=4, kind=NetworkObjective, **options):
    rng = np.random.default_rng(0)
    network = random_network(Architecture((6, 6), channels=3, layers=4, classes=3), 0, backend, "float64")
    x, labels = rng.normal(size=(1, 6, 6, examples)), rng.integers(0, 3, examples)
    batches = Batches(x, labels, 3, size, network.backend, "float64")
    return kind(network, list(batches), **options), network


class SmallMemory(ArrayBackend):
    """Refuses convolutions of more examples than fit, as a full device does."""

    def __init__(self, examples):
        super().__init__("small", xp)
        self.most, self.released = examples, 0

    def activated(self, kernel, Y, *arguments, **options):
        if Y.shape[-1] > self.most:
            raise MemoryError("out of device memory")
        return super().activated(kernel, Y, *arguments, **options)

    def release(self):
        self.released += 1


def test_batches_that_do_not_fit_are_halved_and_the_numbers_stay():
    small = SmallMemory(3)
    (objective, network), (plain, same) = objective_on(small, size=12), objective_on("numpy", size=12)
    with pytest.warns(UserWarning, match=r"out of memory with \d+ examples; the batch is halved"):
        value, gradient = objective.value_and_gradient(objective.vector(network))
    expected, truth = plain.value_and_gradient(plain.vector(same))
    # Sums over 12 examples in another order.
    assert abs(value - expected) <= 12 * np.finfo(float).eps * abs(expected)
    assert np.abs(gradient - truth).max() <= 12 * np.finfo(float).eps * np.abs(truth).max() * 10
    assert small.released > 0


class Cut(SmallMemory):
    """Gets batches of few examples only, whatever it is given."""

    examples, lanes = 5, 2


@pytest.mark.parametrize("small", [SmallMemory, Cut])
@pytest.mark.parametrize("as_list", [True, False])
def test_three_evaluations_fail_once(small, as_list):
    place = small(3)
    objective, network = objective_on(place, examples=13, size=12)
    x, labels = np.random.default_rng(3).normal(size=(1, 6, 6, 13)), np.arange(13) % 3
    batches = Batches(x, labels, 3, 12, place, "float64")
    given = list(batches) if as_list else batches
    objective = NetworkObjective(network, given)
    at = objective.vector(network)
    with pytest.warns(UserWarning, match="the batch is halved"):
        first = objective.value_and_gradient(at)
    failed = place.released
    assert failed == (3 if small is SmallMemory else 2)  # 12 = 6 + 6 = 3 + 3 + 3 + 3; 5 = 2 + 3 twice
    second, third = (objective.value_and_gradient(at) for _ in range(2))
    assert second[0] == third[0]
    assert np.array_equal(second[1], third[1])
    # The halves may be cut where whole batches were not: sums over 13 examples in another order.
    assert np.abs(second[1] - first[1]).max() <= 13 * EPS * np.abs(first[1]).max()
    objective.evaluate(at)
    assert place.released == failed
    # Every example is still there, in order, and the caller's own list is as it was.
    kept = np.concatenate([b.x for b in objective.batches], axis=-1)
    assert np.array_equal(kept, x)
    assert max(b.size for b in objective.batches) <= 5
    assert [b.size for b in given] == ([12, 1] if as_list else [b.size for b in batches])


def test_a_subsample_that_is_given_as_a_list_is_not_changed():
    objective, network = objective_on(SmallMemory(3), size=12)
    given = list(objective.batches)
    with pytest.warns(UserWarning, match="the batch is halved"):
        objective.gauss_newton(objective.vector(network), given)
    assert [batch.size for batch in given] == [12]


def test_batches_end_where_they_are_divided_and_nowhere_twice():
    batches = Batches(np.arange(10.0)[None], np.zeros(10, int), 2, 4, get_backend("numpy"), "float64")
    batches.divide([0, 2, 4, 5, 5, 10])
    assert [batch.size for batch in batches] == [2, 2, 1, 3, 2]


def test_features_for_the_classifier_are_halved_too():
    _, network = objective_on(SmallMemory(3), size=12)
    x, labels = np.random.default_rng(0).normal(size=(1, 6, 6, 12)), np.arange(12) % 3
    batches = Batches(x, labels, 3, 12, network.backend, "float64")
    with pytest.warns(UserWarning, match="the batch is halved"):
        found = classifier_steps(network, batches, TrainingSettings(newton_steps=1))
    assert found.evaluation.loss < np.log(3)


def test_a_single_example_that_does_not_fit_is_an_error():
    objective, network = objective_on(SmallMemory(0), examples=1, size=1)
    with pytest.raises(MemoryError):
        objective.value_and_gradient(objective.vector(network))


def test_halves_come_in_order_and_cover_every_example():
    def function(batch):
        if batch.size > 2:
            raise MemoryError
        return batch.x[0].tolist()

    batch = Batch(np.arange(7.0)[None], np.ones((2, 7)))
    with pytest.warns(UserWarning, match="the batch is halved"):
        found = list(mapped(get_backend("numpy"), function, [batch]))
    assert [x for part in found for x in part] == list(range(7))


# --- products -------------------------------------------------------------------------------------


class SmallForProducts(SmallMemory):
    """Has room for linearisations of any size, and for tangents of few examples."""

    def activated(self, kernel, Y, *arguments, **options):
        return ArrayBackend.activated(self, kernel, Y, *arguments, **options)

    def tangent(self, slope, X, *arguments, **options):
        if X.shape[-1] > self.most:
            raise MemoryError("out of device memory")
        return super().tangent(slope, X, *arguments, **options)


def at_random(objective, network):
    at = objective.vector(network)
    return at + 0.3 * np.random.default_rng(5).normal(size=at.shape)


@pytest.mark.parametrize("kind", [NetworkObjective, ControlObjective])
@pytest.mark.parametrize("storage", ["all", "checkpoint"])
def test_linearisations_whose_product_does_not_fit_give_way_to_halves(kind, storage):
    small = SmallForProducts(3)
    options = {"examples": 14, "size": 7, "kind": kind, "storage": storage}
    (ours, network), (truth, _) = objective_on(small, **options), objective_on("numpy", **options)
    at = at_random(ours, network)
    product, expected = ours.gauss_newton(at), truth.gauss_newton(at)
    v = np.random.default_rng(6).normal(size=at.shape)
    with pytest.warns(UserWarning, match=r"out of memory with [47] examples; the batch is halved") as caught:
        found = product(v)
    # 7 = 3 + 4 and 4 = 2 + 2, for each of two batches.
    assert len(caught) == small.released == 4
    # Sums over 14 examples and 36 cells in another order, through four layers of 27 products each.
    assert np.abs(found - expected(v)).max() <= 14 * 36 * 4 * EPS * np.abs(found).max()
    # The halves stay: nothing fails again, and the bits are the same.
    assert np.array_equal(product(v), found)
    assert small.released == 4


def test_a_linearisation_is_given_up_before_its_halves_are_made():
    def alive():
        return sum(type(thing) is Trajectory for thing in gc.get_objects())

    class Counting(SmallForProducts):
        def release(self):
            at_release.append(alive() - before)

    gc.collect()
    before, at_release = alive(), []
    objective, network = objective_on(Counting(3), examples=12, size=6)
    product = objective.gauss_newton(at_random(objective, network))
    assert alive() - before == 2
    with pytest.warns(UserWarning, match="with 6 examples"):
        product(objective.vector(network))
    # Of two batches: the other one; then that one's halves have come.
    assert at_release == [1, 2]
    assert alive() - before == 4


def test_an_example_whose_product_does_not_fit_is_an_error_each_time():
    small = SmallForProducts(0)
    objective, network = objective_on(small, examples=3, size=3)
    at = at_random(objective, network)
    product = objective.gauss_newton(at)
    with pytest.raises(MemoryError), pytest.warns(UserWarning, match="halved"):
        product(at)
    with pytest.raises(MemoryError):
        product(at)
    # With memory again: no example was lost on the way.
    small.most = 3
    truth, _ = objective_on("numpy", examples=3, size=3)
    expected = truth.gauss_newton(at)(at)
    assert np.abs(product(at) - expected).max() <= 3 * 36 * 4 * EPS * np.abs(expected).max()


# --- uploads --------------------------------------------------------------------------------------


class SmallUploads(ArrayBackend):
    """Refuses arrays of more bytes than fit."""

    def __init__(self, most):
        super().__init__("small", xp)
        self.most, self.released = most, 0

    def asarray(self, x, dtype=None):
        if np.asarray(x).nbytes > self.most:
            raise MemoryError("out of device memory")
        return super().asarray(x, dtype)

    def release(self):
        self.released += 1


def uploads(most, m=11, size=8):
    """Batches of examples of 32 bytes each, and as many bytes on the device."""
    x = np.arange(4.0 * m).reshape(1, 4, m)
    return Batches(x, np.arange(m) % 2, 2, size, SmallUploads(most), "float64")


def test_what_does_not_fit_is_uploaded_in_halves_in_order():
    batches = uploads(3 * 32)
    with pytest.warns(UserWarning, match=r"out of memory with \d examples; the batch is halved") as caught:
        found = list(batches)
    # 8 = 4 + 4 = 2 + 2 + 2 + 2, and 3 fit.
    assert [batch.size for batch in found] == [2, 2, 2, 2, 3]
    assert len(caught) == batches.backend.released == 3
    for name, whole in (("x", batches.x), ("targets", batches.targets)):
        assert np.array_equal(np.concatenate([getattr(b, name) for b in found], axis=-1), whole)
    # Remembered: nothing fails again. Two passes at once give the same.
    assert [(a.size, b.size) for a, b in zip(batches, batches, strict=True)] == [
        (n, n) for n in (2, 2, 2, 2, 3)
    ]
    assert batches.backend.released == 3


def test_a_pass_that_is_under_way_while_another_one_halves_loses_no_example():
    batches = uploads(8 * 32)
    first = iter(batches)
    seen = [next(first)]
    batches.backend.most = 2 * 32
    with pytest.warns(UserWarning, match="halved"):
        assert sum(b.size for b in batches) == 11
    seen += first
    assert np.array_equal(np.concatenate([b.x for b in seen], axis=-1), batches.x)


def test_an_example_that_cannot_be_uploaded_is_an_error():
    with pytest.raises(MemoryError), pytest.warns(UserWarning, match="halved"):
        list(uploads(16))
    with pytest.raises(MemoryError):
        uploads(3 * 32)[0]
    assert uploads(3 * 32)[1].size == 3


def test_training_goes_on_with_uploads_in_halves():
    x, labels = np.random.default_rng(0).normal(size=(1, 6, 6, 12)), np.arange(12) % 3
    settings = TrainingSettings(iterations=1, newton_steps=1, hessian_examples=12, batch_size=12)
    losses = []
    # The classifier takes 1,728 bytes, as 6 of 12 images do.
    for backend in (SmallUploads(2000), get_backend("numpy")):
        net = random_network(Architecture((6, 6), channels=2, layers=2, classes=3), 0, backend, "float64")
        if backend.name == "small":
            with pytest.warns(UserWarning, match="halved"):
                losses.append([s.loss for s in block_coordinate_descent(net, x, labels, settings)])
        else:
            losses.append([s.loss for s in block_coordinate_descent(net, x, labels, settings)])
    # Sums in another order: ten iterations of conjugate gradients make 2e7 eps of images changed by one eps.
    assert losses[0] == pytest.approx(losses[1], rel=2e8 * EPS)


# --- the rule itself ------------------------------------------------------------------------------


def test_halves_replace_their_part_and_other_parts_stay():
    def function(batch):
        if batch.size > 3:
            raise MemoryError
        return batch.x[0].tolist()

    parts = [Batch(np.arange(n, dtype=float)[None], np.ones((2, n))) for n in (2, 5, 3)]
    with pytest.warns(UserWarning, match="with 5 examples"):
        found = in_halves(get_backend("numpy"), function, parts)
    assert found == [[0, 1], [0, 1], [2, 3, 4], [0, 1, 2]]
    assert [part.size for part in parts] == [2, 2, 3, 3]
