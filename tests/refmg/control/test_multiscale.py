"""Multiscale gradients: exact adjoints, exact telescoping, no bias, and the variance that is promised."""

from itertools import combinations, product

import numpy as np
import pytest

from refmg import (
    Architecture,
    Batches,
    ClosureError,
    NetworkObjective,
    ParameterMove,
    PowerLaw,
    RefmgError,
    Regularization,
    random_network,
    transfer_network,
)
from refmg.checks import dot_test, taylor_test
from refmg.classifier import Classifier
from refmg.optimization import (
    GradientEstimate,
    MultiscaleGradient,
    MultiscaleIteration,
    MultiscaleSettings,
    StochasticSettings,
    Term,
    level_costs,
    multiscale_descent,
    optimal_examples,
    step_cost,
    stochastic_descent,
    term_costs,
    variance_ratio,
)
from refmg.optimization.scaling import usual_scale

EPS = np.finfo(float).eps
TRANSFERS = ["unchanged", "linear", "average", "power-law", "power-law-joint", PowerLaw(1.5)]
every_transfer = pytest.mark.parametrize("transfer", TRANSFERS, ids=str)


def network_on(shape=(12, 12), backend="numpy", dtype="float64", **changes):
    settings = {"channels": 2, "classes": 3, "opening_width": 3, "final_time": 2.0} | changes
    start = random_network(Architecture(shape, **settings), 1, backend, dtype)
    rng = np.random.default_rng(2)
    W, mu = rng.normal(size=start.architecture.classifier_shape), rng.normal(size=3)
    return start.with_classifier(Classifier(*(start.backend.asarray(a, dtype=dtype) for a in (W, mu))))


def examples_for(network, m=4, seed=3):
    x = np.random.default_rng(seed).normal(size=(1, *network.architecture.shape, m))
    return Batches(x, np.arange(m) % 3, 3, 3, network.backend, network.dtype)


def estimator_on(network, coarser=((6, 6), (3, 3)), transfer="linear", m=4):
    return MultiscaleGradient(network, examples_for(network, m), coarser, transfer)


def full_gradient(network, batches):
    objective = NetworkObjective(network, batches)
    return objective.value_and_gradient(objective.vector(network))[1]


def on_host(move, function, dtype):
    place = move.backend
    return lambda v: place.to_numpy(function(place.asarray(v, dtype=dtype)))


@every_transfer
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_adjoint_passes_the_dot_test(backend, transfer, dtype):
    move = ParameterMove(network_on(backend=backend, dtype=dtype), (6, 4), transfer)
    forward, adjoint = (on_host(move, f, dtype) for f in (move.restrict, move.adjoint))
    found = dot_test(
        forward, adjoint, (move.fine_size, move.coarse_size), np.random.default_rng(0), dtype=dtype
    )
    assert found.passed, found


@pytest.mark.parametrize("shape", [(12,), (6, 6, 6)])
@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
@pytest.mark.parametrize("transfer", ["full-weighting", "power-law"])
def test_the_adjoint_holds_in_other_dimensions_and_at_other_boundaries(shape, boundary, transfer):
    network = network_on(shape, boundary=boundary, layer="hamiltonian", integrator="verlet")
    move = ParameterMove(network, tuple(n // 2 for n in shape), transfer)
    sizes = (move.fine_size, move.coarse_size)
    assert dot_test(move.restrict, move.adjoint, sizes, np.random.default_rng(0)).passed


def test_wrong_adjoints_are_refused():
    move = ParameterMove(network_on(), (6, 6))
    sizes, rng = (move.fine_size, move.coarse_size), np.random.default_rng(0)
    prolonged = transfer_network(move.coarse_network(np.ones(move.coarse_size)), (12, 12))
    shapes = NetworkObjective(prolonged, [])

    def inverse(g):  # prolongation is not the adjoint, though it maps between the same spaces
        return shapes.vector(transfer_network(move.coarse_network(g), (12, 12)))

    assert not dot_test(move.restrict, inverse, sizes, rng).passed
    assert not dot_test(move.restrict, lambda g: (1 + 1e-9) * move.adjoint(g), sizes, rng).passed
    unmoved = ParameterMove(network_on(), (6, 6), "average")
    assert not dot_test(move.restrict, unmoved.adjoint, sizes, rng).passed


@every_transfer
@pytest.mark.parametrize("shape", [(12,), (12, 6)])
def test_the_move_is_that_of_transfer_network(transfer, shape):
    network, coarse = network_on(shape), tuple(n // 2 for n in shape)
    move, objective = ParameterMove(network, coarse, transfer), NetworkObjective(network, [])
    moved = transfer_network(network, coarse, transfer)
    expected = NetworkObjective(moved, []).vector(moved)
    found = move.restrict(objective.vector(network))
    # Each number is a sum of at most N cells, or n_K taps, of moderate matrices.
    assert np.allclose(found, expected, rtol=0, atol=16 * network.architecture.grid.cells * EPS)
    assert move.coarse_network(found).architecture == moved.architecture


@every_transfer
def test_the_coarse_gradient_is_that_of_a_function_of_the_fine_parameters(transfer):
    network = network_on()
    estimator = estimator_on(network, ((6, 6),), transfer)
    (move,), objective = estimator.moves, NetworkObjective(network, estimator.levels[0])
    coarse = NetworkObjective(move.coarse_network(np.zeros(move.coarse_size)), estimator.levels[1])
    theta = objective.vector(network)

    def value(vector):
        return coarse.value(move.restrict(vector))

    inner = coarse.value_and_gradient(move.restrict(theta))[1]
    found = taylor_test(value, theta, np.random.default_rng(0), move.adjoint(inner), first_step=1e-2)
    assert found.passed, found
    wrong = 1.01 * move.adjoint(inner)
    assert not taylor_test(value, theta, np.random.default_rng(0), wrong, first_step=1e-2).passed


@pytest.mark.parametrize("transfer", ["unchanged", "linear", "power-law"])
def test_with_all_examples_in_every_term_the_sum_telescopes(backend, transfer):
    network = network_on(backend=backend)
    estimator = estimator_on(network, transfer=transfer)
    found = estimator.estimate(network, np.random.default_rng(0), [4, 4, 4])
    exact = network.backend.to_numpy(full_gradient(network, estimator.levels[0]))
    error = np.abs(network.backend.to_numpy(found.gradient) - exact).max()
    # Each coarse gradient enters twice from the same numbers and cancels but for the rounding of the sums,
    # eps each, of terms no larger than their norms; the order of the sums is the same.
    assert error <= 4 * EPS * sum(term.norm for term in found.terms)
    assert found.cost == 4 * (1.25 + 0.3125 + 0.0625)


def chosen_batches(sizes, m=4):
    return product(*(map(np.array, combinations(range(m), n)) for n in sizes))


@pytest.mark.parametrize("transfer", ["unchanged", "linear"])
def test_the_mean_over_all_batches_is_the_full_gradient_and_the_variance_the_promised_one(transfer):
    network, sizes, m = network_on(), (1, 3, 3), 4
    estimator, scale = estimator_on(network, transfer=transfer, m=m), usual_scale(network)
    draws = np.stack([estimator.on(network, chosen).gradient for chosen in chosen_batches(sizes)])
    exact = full_gradient(network, estimator.levels[0])
    assert len(draws) == 4 * 4 * 4
    assert np.allclose(draws.mean(axis=0), exact, rtol=0, atol=len(draws) * EPS * np.abs(draws).max())
    # A single draw is far off: the mean is what is exact.
    assert np.abs(draws[0] - exact).max() > 1e-3 * np.abs(exact).max()
    variances, _ = estimator.variances(network, np.arange(m))
    promised = sum((1 / n - 1 / m) * V for n, V in zip(sizes, variances, strict=True))
    found = np.mean(np.sum(((draws - exact) / scale) ** 2, axis=1))
    assert found == pytest.approx(promised, rel=1e-12)


def test_an_estimate_uses_the_examples_that_were_drawn():
    network = network_on()
    estimator, sizes = estimator_on(network, m=9), (2, 4, 9)
    rng = np.random.default_rng(5)
    chosen = [np.sort(rng.choice(9, n, replace=False)) for n in sizes]
    found = estimator.estimate(network, np.random.default_rng(5), sizes)
    assert np.array_equal(found.gradient, estimator.on(network, chosen).gradient)
    assert [term.examples for term in found.terms] == [2, 4, 9]


def smooth_images(n, m):
    rng, t = np.random.default_rng(6), 2 * np.pi * (np.arange(n) + 0.5) / n
    waves = np.stack([np.cos(t), np.sin(t)])
    return np.einsum("ai,bj,abm->ijm", waves, waves, rng.normal(size=(2, 2, m)))[None]


def test_smooth_images_need_less_variance_at_equal_cost_and_rough_ones_do_not():
    network, labels = network_on((16, 16)), np.arange(20) % 3
    network = network.with_classifier(Classifier(0 * network.classifier.W, network.classifier.mu))
    rough = np.random.default_rng(7).normal(size=(1, 16, 16, 20))
    ratios = []
    for x in (smooth_images(16, 20), rough):
        batches = Batches(x, labels, 3, 20, network.backend, "float64")
        estimator = MultiscaleGradient(network, batches, ((8, 8),), "average")
        variances, single = estimator.variances(network, np.arange(20))
        ratios.append(variance_ratio(variances, estimator.costs, single))
    assert ratios[0] < 0.9 < 1 < ratios[1]


def test_the_allocation_is_the_best_of_all_and_keeps_the_budget():
    variances, costs, budget = (3.0, 0.7, 5.0), (1.25, 0.3125, 0.0625), 40.0
    found = optimal_examples(variances, costs, budget, 10_000)
    assert step_cost(found, costs) <= budget

    def variance(sizes):
        return sum(V / n for V, n in zip(variances, sizes, strict=True))

    every = (
        (a, b, c)
        for a in range(1, 32)
        for b in range(1, 60)
        if (c := int((budget - a * 1.25 - b * 0.3125) / 0.0625)) > 0
    )
    best = min(map(variance, every))
    # Rounding down loses less than one example in each term.
    assert best <= variance(found) <= best * (1 + 1 / min(found))
    assert variance_ratio(variances, costs, 1.0) / budget <= best
    assert optimal_examples((1.0, 0.0), (1.25, 0.25), 10.0, 5) == (5, 1)
    assert optimal_examples((0.0, 0.0), (1.25, 0.25), 10.0, 5) == (1, 1)


@pytest.mark.parametrize(
    ("variances", "budget", "expected"),
    [
        ((0.0, 0.0, 1.0), 4.0, (1, 1, 39)),  # 4 - 1.25 - 0.3125 at 0.0625 each
        ((1e-6, 1.0, 1.0), 4.0, (1, 6, 13)),  # 2.75 for 6.08 and 13.6
        ((1.0, 1.0, 1e-9), 3.0, (1, 3, 1)),  # 2.9375 for 1.57 and 3.13
        ((1.0, 1.0, 1.0), 0.5, (1, 1, 1)),  # too little for 1 each
    ],
)
def test_terms_that_get_one_example_at_least_do_not_break_the_budget(variances, budget, expected):
    costs = (1.25, 0.3125, 0.0625)
    found = optimal_examples(variances, costs, budget, 10_000)
    assert found == expected
    assert step_cost(found, costs) <= max(budget, sum(costs))


def test_costs_follow_the_cells():
    assert level_costs([Architecture(s) for s in [(8, 8, 8), (4, 4, 4)]]) == (1.0, 0.125)


def problem(m=60, n=12):
    rng = np.random.default_rng(0)
    labels = np.arange(m) % 2
    wave = np.sin(2 * np.pi * np.arange(n) / n)
    pictures = [np.tile(wave, (n, 1)) if c else np.tile(wave[:, None], (1, n)) for c in labels]
    return np.stack(pictures, axis=-1)[None] + 0.5 * rng.normal(size=(1, n, n, m)), labels


def start(backend="numpy"):
    return random_network(Architecture((12, 12), channels=2, classes=2), 0, backend, "float64")


@pytest.mark.parametrize("method", ["adam", "sgd"])
def test_descent_learns_and_keeps_to_the_work_of_an_epoch(method):
    x, labels = problem()
    settings = StochasticSettings(
        method, 0.02, epochs=4, examples=10, regularization=Regularization(1e-4, 1e-4, 1e-4)
    )
    chosen = MultiscaleSettings(((6, 6), (3, 3)), stochastic=settings, pilot=6, transfer="average")
    steps = list(multiscale_descent(start(), x, labels, chosen))
    assert [step.number for step in steps] == list(range(4))
    assert all(0 < step.cost <= 60 and step.steps >= 2 for step in steps)
    assert steps[-1].evaluation.accuracy > 0.8
    record = steps[-1].record()
    assert set(record["gradient_norms"]) == {"all", "12 x 12", "6 x 6", "3 x 3"}
    assert record["examples"] == list(steps[-1].examples)
    again = list(multiscale_descent(start(), x, labels, chosen))
    assert [step.loss for step in again] == [step.loss for step in steps]


def test_with_all_examples_descent_is_gradient_descent():
    x, labels = problem(12)
    settings = StochasticSettings(
        "sgd", 0.02, epochs=3, examples=12, regularization=Regularization(0.1, 0.1, 0.1)
    )
    exact = [step.loss for step in stochastic_descent(start(), x, labels, settings)]
    # A step on all examples of both grids costs 1.5 epochs: one step each.
    chosen = MultiscaleSettings(((6, 6),), examples=(12, 12), stochastic=settings)
    found = list(multiscale_descent(start(), x, labels, chosen))
    assert [step.steps for step in found] == [1, 1, 1]
    assert [step.loss for step in found] == pytest.approx(exact, rel=1e-10)


def test_a_minimal_array_library_trains_the_same_network():
    x, labels = problem(20)
    settings = StochasticSettings("adam", 0.01, epochs=2, examples=10)
    chosen = MultiscaleSettings(((6, 6),), examples=(4, 12), stochastic=settings)
    ends = []
    for backend in ("numpy", "array-api-strict"):
        *_, last = multiscale_descent(start(backend), x, labels, chosen)
        ends.append(last.network.backend.to_numpy(last.network.controls.stencils))
    assert np.allclose(*ends, rtol=0, atol=1e-8 * np.abs(ends[0]).max())


def test_what_cannot_be_estimated_is_refused():
    network = network_on()
    with pytest.raises(RefmgError, match="expected a coarser one"):
        ParameterMove(network, (24, 24))
    with pytest.raises(RefmgError, match="multiple of the other"):
        ParameterMove(network, (5, 5))
    with pytest.raises(ClosureError, match="at least as many cells as taps"):
        ParameterMove(network, (2, 2))
    with pytest.raises(RefmgError, match="moves whole networks"):
        ParameterMove(network, (6, 6), "calibrated")
    with pytest.raises(RefmgError, match="needs images"):
        ParameterMove(network, (6, 6), "spectrum")
    estimator, rng = estimator_on(network), np.random.default_rng(0)
    for sizes in ([4, 4], [0, 1, 1], [4, 4, 5]):
        with pytest.raises(RefmgError, match="expected 3 sizes, one a term, each from 1 to 4"):
            estimator.estimate(network, rng, sizes)
    with pytest.raises(RefmgError, match="expected 2 or more"):
        estimator.variances(network, np.array([0]))
    for bad in ((-1.0, 1.0), (np.nan, 1.0), (1.0,)):
        with pytest.raises(RefmgError, match="no variance negative"):
            optimal_examples(bad, (1.0, 1.0), 10.0, 5)
    with pytest.raises(RefmgError, match="one a term"):
        MultiscaleSettings(((6, 6),), examples=(4,))
    with pytest.raises(RefmgError, match="pilot = 1"):
        MultiscaleSettings(((6, 6),), pilot=1)


def test_a_term_pays_for_both_of_its_grids():
    grids = [Architecture((n, n)) for n in (16, 8, 4)]
    assert term_costs(grids) == (1.25, 0.3125, 0.0625)
    assert term_costs(grids[:1]) == (1.0,)


def test_an_estimate_tells_of_each_term():
    network = network_on()
    estimator = MultiscaleGradient(network, examples_for(network, 8), [(6, 6)])
    found = estimator.estimate(network, np.random.default_rng(0), (2, 4))
    assert isinstance(found, GradientEstimate)
    assert [(t.shape, t.examples) for t in found.terms] == [((12, 12), 2), ((6, 6), 4)]
    assert all(isinstance(term, Term) and term.norm > 0 for term in found.terms)
    assert [t.cost for t in found.terms] == [2 * 1.25, 4 * 0.25]
    assert found.gradient.shape == (network.controls.size + network.classifier.flat(np).size,)


def test_an_iteration_of_many_scales_records_its_examples():
    network = network_on()
    x = np.random.default_rng(4).normal(size=(1, 12, 12, 8))
    stochastic = StochasticSettings("sgd", 0.05, epochs=1, examples=4)
    settings = MultiscaleSettings(((6, 6),), (2, 4), stochastic=stochastic)
    *_, last = multiscale_descent(network, x, np.arange(8) % 3, settings)
    assert isinstance(last, MultiscaleIteration)
    assert tuple(last.record()["examples"]) == (2, 4)
    grids = [network.architecture, network.architecture.on((6, 6))]
    assert last.cost == pytest.approx(last.steps * step_cost((2, 4), term_costs(grids)))
