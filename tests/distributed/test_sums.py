"""Sums over examples that are shared out: the same numbers, to rounding or to the last bit."""

import numpy as np
import pytest
from simulated_ranks import SimulatedRanks

from refmg import (
    Architecture,
    Batches,
    Classifier,
    ControlObjective,
    NetworkObjective,
    RefmgError,
    Regularization,
    Spectrum,
    get_backend,
    random_network,
    transfer_network,
)
from refmg.distributed import SerialCommunicator, Share, share_examples, share_of
from refmg.multilevel import ImagePyramid, Level, multilevel_descent
from refmg.optimization import (
    MultiscaleGradient,
    MultiscaleSettings,
    StochasticSettings,
    TrainingSettings,
    block_coordinate_descent,
    classifier_steps,
    lbfgs,
    multiscale_descent,
    stochastic_descent,
    variable_projection,
)

M, CLASSES, BATCH = 53, 3, 8  # a prime: no number of ranks divides it
WEIGHTS = Regularization(1e-3, 1e-3, 1e-3)
SIZES = {"numpy": (2, 3, 4, 7), "adversarial-numpy": (3,), "array-api-strict": (2,)}


def data(m=M):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(1, 8, 8, m)), rng.integers(0, CLASSES, m)
    labels[:CLASSES] = np.arange(CLASSES)
    return x, labels


def shared(share, m=M):
    """Return images and labels, shared out or not."""
    x, labels = data(m)
    return (x if share is None else share_examples(x, share)), labels


def batches_of(share, network, size=BATCH):
    return Batches(*shared(share), CLASSES, size, network.backend, "float64")


def trained(backend="numpy"):
    """Return a network whose classifier is not zero."""
    a = Architecture((8, 8), channels=2, classes=CLASSES)
    network = random_network(a, 0, backend, "float64")
    W = network.backend.asarray(np.random.default_rng(1).normal(size=a.classifier_shape))
    return network.with_classifier(Classifier(W, network.classifier.mu))


def on_ranks(size, function, deterministic=False):
    """Return what a function of a share returns on rank 0, once all ranks have the same bits."""
    if size == 1:
        return function(Share(SerialCommunicator(), deterministic))
    found = SimulatedRanks(size).run(lambda comm: function(Share(comm, deterministic)))
    for other in found[1:]:
        assert_same_bits(found[0], other)
    return found[0]


def assert_same_bits(one, other):
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b)


def objective_numbers(share, backend="numpy"):
    """Return value, accuracy, gradient and Gauss-Newton products, at all examples and at some."""
    network = trained(backend)
    batches, host = batches_of(share, network), network.backend.to_numpy
    found = []
    for kind in (NetworkObjective, ControlObjective):
        objective = kind(network, batches, WEIGHTS)
        vector = objective.vector(network)
        evaluation, gradient = objective.evaluate_with_gradient(vector)
        product, few = objective.gauss_newton(vector), batches.take(np.arange(0, M, 5))
        found += [evaluation.objective, evaluation.accuracy, objective.value(vector), host(gradient)]
        found += [host(product(gradient)), host(objective.gauss_newton(vector, few)(gradient))]
    return found


def term_sizes():
    """Return for each number of :func:`objective_numbers` the sum of the sizes of its terms."""
    network, (x, labels) = trained(), data()
    found = []
    for kind in (NetworkObjective, ControlObjective):
        whole = kind(network, Batches(x, labels, CLASSES, M, network.backend, "float64"), WEIGHTS)
        v = whole.vector(network)
        direction = whole.gradient(v)
        penalty = whole.penalty_product(v), whole.penalty_product(direction)
        sizes = [0.0, 0.0, 0.0, abs(penalty[0]), abs(penalty[1]), abs(penalty[1])]
        for i in range(M):
            part = Batches(x[..., i : i + 1], labels[i : i + 1], CLASSES, 1, network.backend, "float64")
            one = kind(network, part)
            value, gradient = one.value_and_gradient(v)
            product = one.gauss_newton(v)(direction)
            for k, term in enumerate((value, 0.0, value, gradient, product)):
                sizes[k] = sizes[k] + abs(term) / M
            if i % 5 == 0:
                sizes[5] = sizes[5] + abs(product) / len(range(0, M, 5))
        found += sizes
    return found


def assert_within_rounding(serial, other):
    # A sum of n numbers in any order errs by at most (n - 1) eps sum |terms| (Higham 2002, section 4.2). A
    # number here is a sum over examples, cells and layers, each of which a kernel may take in another order,
    # too; there are less than 4 (64 cells + 53 examples + 18 taps) roundings on a path. Twice, for two sums.
    n = 4 * (64 + M + 18)
    for a, b, terms in zip(serial, other, term_sizes(), strict=True):
        assert np.all(np.abs(a - b) <= 2 * n * np.finfo(float).eps * np.max(terms))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_sums_differ_by_rounding_of_their_order_alone(size):
    assert_within_rounding(objective_numbers(None), on_ranks(size, objective_numbers))


def test_the_bound_rejects_an_example_of_another_weight():
    serial = objective_numbers(None)
    other = [np.asarray(a) * (1 + 1e-9 * (np.arange(np.size(a)).reshape(np.shape(a)) == 0)) for a in serial]
    assert_within_rounding(serial, serial)
    with pytest.raises(AssertionError):
        assert_within_rounding(serial, other)


def test_the_bound_rejects_a_rank_that_lost_its_labels():
    def run(share):
        network = trained()
        batches = batches_of(share, network)
        if share.communicator.rank == 1:
            batches.targets[...] = 0.0
        objective = NetworkObjective(network, batches, WEIGHTS)
        return [*objective_numbers(None)[:2], objective.value(objective.vector(network))]

    found, serial = on_ranks(3, run), objective_numbers(None)
    with pytest.raises(AssertionError):
        assert_within_rounding(serial, [*found, *serial[3:]])


@pytest.mark.parametrize("backend", SIZES)
def test_fixed_blocks_give_the_same_bits_for_every_number_of_ranks(backend):
    if backend == "array-api-strict":
        pytest.importorskip("array_api_strict")

    def run(share):
        return objective_numbers(share, backend)

    one = on_ranks(1, run, deterministic=True)
    for size in SIZES[backend]:
        assert_same_bits(one, on_ranks(size, run, deterministic=True))


def test_plain_sums_do_not_have_the_same_bits():
    """If they had, the comparison above would say nothing."""
    found = [on_ranks(size, objective_numbers) for size in (1, 2, 3, 4)]
    pairs = [pair for other in found[1:] for pair in zip(found[0], other, strict=True)]
    assert not all(np.array_equal(a, b) for a, b in pairs)


def parameters(network):
    host = network.backend.to_numpy
    return [host(a) for a in (*vars(network.controls).values(), *vars(network.classifier).values())]


# Few iterations of conjugate gradients: from this start ten make 1e-3 of a change of 1e-15 in the images.
SECOND_ORDER = TrainingSettings(
    iterations=1,
    newton_steps=1,
    hessian_examples=20,
    cg_iterations=2,
    newton_cg_iterations=2,
    batch_size=BATCH,
    regularization=WEIGHTS,
)


def bcd(network, x, labels):
    return list(block_coordinate_descent(network, x, labels, SECOND_ORDER))[-1].network


def projected(network, x, labels):
    return list(variable_projection(network, x, labels, SECOND_ORDER))[-1].network


def quasi_newton(network, x, labels):
    return lbfgs(network, x, labels, TrainingSettings(2, batch_size=BATCH, regularization=WEIGHTS))


def stochastic(network, x, labels):
    settings = StochasticSettings(epochs=1, examples=10, batch_size=4, regularization=WEIGHTS)
    return list(stochastic_descent(network, x, labels, settings))[-1].network


def multiscale(network, x, labels):
    inner = StochasticSettings("sgd", epochs=1, examples=16, batch_size=8, regularization=WEIGHTS)
    settings = MultiscaleSettings(((4, 4),), pilot=5, stochastic=inner)
    return list(multiscale_descent(network, x, labels, settings))[-1].network


def multilevel(network, x, labels):
    coarse = random_network(Architecture((4, 4), channels=2, classes=CLASSES), 0, "numpy", "float64")
    fine = Level((8, 8), layers=4, settings=SECOND_ORDER, transfer="calibrated")
    levels = [Level((4, 4), settings=SECOND_ORDER), fine]
    return list(multilevel_descent(coarse, levels, ImagePyramid(x, labels)))[-1].network


METHODS = (bcd, projected, quasi_newton, stochastic, multiscale, multilevel)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_every_optimiser_is_deterministic_over_ranks(method):
    def run(share):
        return parameters(method(trained(), *shared(share)))

    one = on_ranks(1, run, deterministic=True)
    for size in (2, 3):
        assert_same_bits(one, on_ranks(size, run, deterministic=True))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_every_optimiser_finds_the_same_loss_with_plain_sums(method):
    def run(share):
        network = method(trained(), *shared(share))
        objective = NetworkObjective(network, batches_of(None, network), WEIGHTS)
        return [objective.value(objective.vector(network))]

    # Measured: 2 eps. One example of 53 that is lost or counted twice makes 1e-2 or so.
    assert np.allclose(run(None), on_ranks(3, run), rtol=1e-12)


@pytest.mark.parametrize("transfer", ["calibrated", "spectrum"])
@pytest.mark.parametrize("images", [M, 200], ids=["fewer images than weights", "more"])
def test_transfers_that_look_at_images(transfer, images):
    def run(share):
        return parameters(transfer_network(trained(), (4, 4), transfer, images=shared(share, images)[0]))

    serial, one = run(None), on_ranks(1, run, deterministic=True)
    for a, b in zip(serial, on_ranks(3, run), strict=True):
        # Normal equations with a ridge of 1e-2: condition numbers below 1e6 amplify rounding.
        assert np.allclose(a, b, rtol=1e-8, atol=1e-8 * np.max(np.abs(a)))
    for size in (2, 3, 4):
        assert_same_bits(one, on_ranks(size, run, deterministic=True))


def test_both_directions_and_images_of_both_grids():
    def run(share):
        x, _ = shared(share)
        coarse = x.mapped(lambda part: part[:, ::2, ::2])
        down = transfer_network(trained(), (4, 4), "calibrated", images=x, coarse_images=coarse)
        return parameters(transfer_network(down, (8, 8), "calibrated", images=x, coarse_images=coarse))

    assert_same_bits(on_ranks(1, run, deterministic=True), on_ranks(3, run, deterministic=True))
    (x, _), (own, _) = data(), shared(Share(SerialCommunicator()))
    with pytest.raises(RefmgError, match="both, alike"):
        transfer_network(trained(), (4, 4), "calibrated", images=own, coarse_images=x[:, ::2, ::2])


def test_accuracy_is_the_same_fraction():
    serial = trained().accuracy(*data(), BATCH)
    for size in (2, 3, 4):
        assert on_ranks(size, lambda share: [trained().accuracy(*shared(share), BATCH)]) == [serial]


def test_the_spectrum_is_the_mean_power():
    serial = Spectrum.of(data()[0], 8).power((8, 8))
    (found,) = on_ranks(3, lambda share: [Spectrum.of(shared(share)[0], 8).power((8, 8))])
    # Sums of m squares: relative errors of at most m eps each.
    assert np.allclose(found, serial, rtol=2 * M * np.finfo(float).eps, atol=0)


def test_variances_of_multiscale_gradients():
    def run(share):
        network = trained()
        estimator = MultiscaleGradient(network, batches_of(share, network), [(4, 4)])
        terms, single = estimator.variances(network, np.arange(0, 21, 3))
        return [*terms, single]

    # Welford's sums and sums in two passes, of seven gradients.
    assert np.allclose(run(None), on_ranks(3, run), rtol=1e-12)
    network = trained()
    estimator = MultiscaleGradient(network, batches_of(Share(SerialCommunicator()), network), [(4, 4)])
    with pytest.raises(RefmgError, match="expected 2 or more"):
        estimator.variances(network, np.array([1]))


def test_a_subset_may_be_smaller_than_the_ranks():
    """Two examples on four ranks: two have nothing to add."""

    def run(share):
        network, two = trained(), np.array([3, 40])
        batches = batches_of(share, network)
        objective = NetworkObjective(network, batches.take(two), WEIGHTS)
        value, gradient = objective.value_and_gradient(objective.vector(network))
        steps = classifier_steps(network, batches.take(two), TrainingSettings(newton_steps=1))
        return [value, gradient, steps.evaluation.loss]

    one = on_ranks(1, run, deterministic=True)
    assert_same_bits(one, on_ranks(4, run, deterministic=True))
    assert np.allclose(one[1], on_ranks(4, run)[1], rtol=1e-12, atol=1e-14)


def test_fewer_examples_than_ranks_is_an_error_that_says_so():
    x = data(3)[0]
    with pytest.raises(RefmgError, match="found 3 examples for 4 ranks; expected at least one"):
        SimulatedRanks(4).run(lambda comm: share_examples(x, Share(comm)))


def test_not_finite_on_one_rank_is_an_error_on_all():
    x, errors = data()[0].copy(), []
    x[0, 0, 0, -1] = np.nan

    def run(comm):
        try:
            transfer_network(trained(), (4, 4), "spectrum", images=share_examples(x, Share(comm)))
        except RefmgError as error:
            errors.append(str(error))

    SimulatedRanks(3).run(run)
    assert len(errors) == 3
    assert {error.split(";")[0] for error in errors} == {f"found NaN or infinity in images, example {M - 1}"}


def test_examples_without_ranks_are_as_ever():
    batches = batches_of(None, trained())
    assert share_of(batches) is None
    assert share_of(batches.x) is None
    assert batches.alone(np.array([1, 2])).examples == 2
    one, plain = (objective_numbers(share)[0] for share in (Share(SerialCommunicator()), None))
    assert np.isclose(one, plain, rtol=1e-14)


def test_messages_are_few():
    ranks, network = SimulatedRanks(2), trained()

    def run(comm):
        objective = NetworkObjective(network, batches_of(Share(comm), network), WEIGHTS)
        vector = objective.vector(network)
        objective.value_and_gradient(vector)
        product = objective.gauss_newton(vector)
        for _ in range(3):
            product(vector)

    ranks.run(run)
    # One for loss, hits and gradient together, and one a product.
    assert ranks.messages == {"sum": 4}
    assert ranks.bytes == 8 * (4 * sum(a.size for a in parameters(network)) + 2)


def test_backends_keep_their_arrays():
    place = get_backend("adversarial-numpy")
    share = Share(SerialCommunicator(), deterministic=True)
    terms = [(place.asarray(np.full(3, value)),) for value in (1.0, 2.0)]
    (found,) = share.total(place, terms, share.division(2, 1))
    assert np.array_equal(place.to_numpy(found), [3.0, 3.0, 3.0])
