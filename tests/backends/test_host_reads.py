"""How often the host waits for numbers of the device: by decision, never by batch."""

import numpy as np
import pytest
from cuda_on_cpu import NO_COMPILER, cupy_on_cpu, has_compiler

from refmg import (
    Architecture,
    Calibration,
    Classifier,
    Regularization,
    get_backend,
    random_network,
    stencil_transfer_names,
    transfer_network,
)
from refmg.batches import Batches
from refmg.classifier_objective import ClassifierObjective
from refmg.evaluation import Totals
from refmg.objective import ControlObjective, NetworkObjective
from refmg.optimization import (
    StochasticSettings,
    TrainingSettings,
    block_coordinate_descent,
    classifier_steps,
    newton_step,
    stochastic_descent,
)
from refmg_backends.adversarial_backend import TRANSFERS

EXAMPLES, WEIGHTS = 12, Regularization(1e-2, 1e-2, 1e-2)
SIZES = pytest.mark.parametrize("size", [12, 4, 1])


@pytest.fixture(params=["adversarial-numpy", "cupy on the CPU"])
def device(request):
    """Backends whose arrays count their transfers."""
    if request.param == "adversarial-numpy":
        return get_backend(request.param)
    if not has_compiler():
        pytest.skip(NO_COMPILER)
    return cupy_on_cpu()


def problem(backend, size):
    """A network with a random classifier, and its examples in batches of this size."""
    rng = np.random.default_rng(0)
    a = Architecture((4, 4), channels=2, layers=2, classes=3)
    network = random_network(a, 0, backend, "float64")
    W, mu = (network.backend.asarray(rng.normal(size=n)) for n in (a.classifier_shape, 3))
    x, labels = rng.normal(size=(1, 4, 4, EXAMPLES)), np.arange(EXAMPLES) % 3
    batches = Batches(x, labels, 3, size, network.backend, "float64")
    return network.with_classifier(Classifier(W, mu)), batches


def crossings(work):
    """Transfers to the host and numbers read by the second call; the first one moves index tables."""
    work()
    TRANSFERS.clear()
    work()
    return TRANSFERS.to_host, TRANSFERS.scalars


@SIZES
@pytest.mark.parametrize("kind", [NetworkObjective, ControlObjective])
def test_one_read_an_evaluation_or_gradient_and_none_a_product(device, kind, size):
    network, batches = problem(device, size)
    objective = kind(network, list(batches), WEIGHTS)
    at = objective.vector(network)
    assert crossings(lambda: objective.evaluate(at)) == (1, 0)
    assert crossings(lambda: objective.value_and_gradient(at)) == (1, 0)
    assert crossings(lambda: objective.gradient(at)) == (0, 0)
    assert device.xp.all(objective.gradient(at) == objective.value_and_gradient(at)[1])
    assert crossings(lambda: objective.value_and_gradient(at)) == (1, 0)
    # The batches are on the device, and nothing else goes there.
    assert TRANSFERS.to_device == 0
    product = objective.gauss_newton(at)
    assert crossings(lambda: product(at)) == (0, 0)
    assert crossings(lambda: objective.gauss_newton(at)) == (0, 0)


@SIZES
def test_one_read_for_the_derivatives_of_the_classifier_and_one_a_trial(device, size):
    network, batches = problem(device, size)
    a, current = network.architecture, network.classifier
    Y = np.random.default_rng(1).normal(size=(2, 4, 4, EXAMPLES))
    features = list(Batches(Y, batches.targets, 3, size, network.backend, "float64"))
    objective = ClassifierObjective(a, features, WEIGHTS, network.backend)
    assert crossings(lambda: objective.derivatives(current)) == (1, 0)
    direction = current.flat(network.backend.xp)
    product = objective.derivatives(current)[2]
    assert crossings(lambda: product(direction)) == (0, 0)
    line = objective.at(current).along(direction)
    TRANSFERS.clear()
    assert [line(t) for t in (1.0, 0.5)]
    assert (TRANSFERS.to_host, TRANSFERS.scalars) == (2, 0)


@SIZES
def test_a_newton_step_reads_what_its_decisions_need(device, size):
    network, batches = problem(device, size)
    objective = ControlObjective(network, list(batches), WEIGHTS)
    at, trials = objective.vector(network), []

    def value(x):
        trials.append(x)
        return objective.value(x)

    start, gradient = objective.value_and_gradient(at)
    point = at, start, gradient, objective.gauss_newton(at)
    TRANSFERS.clear()
    step = newton_step(network.backend.xp, value, point, cg_iterations=3, cg_tolerance=0.0)
    assert step.cg.iterations == 3
    assert TRANSFERS.scalars == (2 * 3 + 1) + 2
    assert TRANSFERS.to_host == len(trials) > 0


def test_an_iteration_reads_as_often_with_many_batches_as_with_one(device):
    found = []
    for size in (12, 1):
        network, batches = problem(device, size)
        settings = TrainingSettings(
            iterations=1, newton_steps=2, hessian_examples=6, batch_size=size, regularization=WEIGHTS
        )
        TRANSFERS.clear()
        steps = list(block_coordinate_descent(network, batches.x, batches.targets, settings))
        decisions = steps[-1].step, steps[-1].cg_iterations, steps[-1].classifier_steps
        found.append((TRANSFERS.to_host, TRANSFERS.scalars, decisions))
    assert found[0] == found[1]


@pytest.mark.parametrize("method", ["sgd", "adam"])
def test_stochastic_steps_read_nothing_and_an_epoch_its_report(device, method):
    network, batches = problem(device, 4)
    for examples in (12, 4, 1):
        settings = StochasticSettings(method, epochs=2, examples=examples, regularization=WEIGHTS)
        TRANSFERS.clear()
        list(stochastic_descent(network, batches.x, batches.targets, settings))
        # Loss, regulariser and accuracy together, and the norm of the gradient.
        assert (TRANSFERS.to_host, TRANSFERS.scalars) == (2, 2)


def test_a_read_a_batch_would_be_counted():
    backend = get_backend("adversarial-numpy")
    _, batches = problem(backend, 4)
    TRANSFERS.clear()
    for batch in batches:
        float(backend.xp.sum(batch.x))
    assert TRANSFERS.scalars == 3


@pytest.mark.parametrize("backend", ["numpy", "numba", "array-api-strict", "adversarial-numpy"])
def test_batches_are_added_in_float64_as_python_adds(backend):
    place = get_backend(backend)
    parts, hits = np.random.default_rng(0).normal(size=1000).astype("float32"), np.arange(1000)
    totals = Totals(place)
    for loss, count in zip(parts, hits, strict=True):
        totals.add(place.asarray(loss), place.asarray(count))
    found = totals.evaluation(1, place.asarray(np.float32(0.1)))
    total = 0.0
    for loss in parts:
        total += float(loss)
    # The same additions in the same order: to the last bit.
    assert (found.loss, found.accuracy, found.regularizer) == (total, hits.sum(), np.float32(0.1))
    # Sums in float32 are others.
    assert total != float(np.cumsum(parts)[-1])


# --- transfers between grids ----------------------------------------------------------------------


def moved(device, transfer, layers=2):
    """Reads of the second of two transfers from 8 x 8 to 4 x 4 cells."""
    a = Architecture((8, 8), channels=2, layers=layers, classes=3)
    network, images = random_network(a, 0, device, "float64"), np.random.default_rng(2).random((1, 8, 8, 12))
    needed = {"images": images} if transfer == "spectrum" or isinstance(transfer, Calibration) else {}
    return crossings(lambda: transfer_network(network, (4, 4), transfer, **needed))


@pytest.mark.parametrize("name", sorted({*stencil_transfer_names()} - {"calibrated"}))
def test_a_map_of_stencils_reads_the_parameters_once(device, name):
    # Opening, stencils of all layers together, weights of the classifier.
    assert moved(device, name) == moved(device, name, layers=4) == (3, 0)
    assert TRANSFERS.to_device == 3


@pytest.mark.parametrize("layers", [2, 4])
@pytest.mark.parametrize(("size", "batches"), [(12, 1), (4, 3)])
def test_a_calibration_reads_features_of_every_layer_and_batch(device, layers, size, batches):
    """It solves its normal equations on the host, as the page says: no more than that is read."""
    each = 2 + 2 * batches  # of the opening and of each layer: both stencils, and both networks' features
    classifier = 1 + 2 * batches  # its weights, features and logits
    expected = 3 + (1 + layers) * each + classifier
    assert moved(device, Calibration(batch_size=size), layers) == (expected, 0)


# --- passes over the features ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [12, 4])
def test_a_newton_step_of_the_classifier_passes_twice_and_twice_an_iteration(monkeypatch, size):
    (network, batches), passes = problem("adversarial-numpy", size), []
    for name in ("logits", "weight_gradient"):
        kernel = getattr(network.backend, name)
        counted = lambda *given, kernel=kernel: passes.append(1) or kernel(*given)  # noqa: E731
        monkeypatch.setattr(network.backend, name, counted)
    settings = TrainingSettings(newton_steps=3, newton_cg_iterations=4, regularization=WEIGHTS)
    found = classifier_steps(network, batches, settings)
    assert all(step.step > 0 for step in found.steps)
    products = sum(step.cg.iterations for step in found.steps)
    # Small features travel together, as one batch.
    assert len(passes) == 1 + 2 * 3 + 2 * products
