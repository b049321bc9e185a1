"""Line searches and optimisers: what they promise, and what they log."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmg import Architecture, Batches, RefmgError, Regularization, random_network
from refmg.optimization import (
    CGResult,
    ClassifierSteps,
    Iteration,
    LineSearchResult,
    NewtonStep,
    RuleState,
    StochasticSettings,
    TrainingSettings,
    armijo,
    block_coordinate_descent,
    classifier_steps,
    conjugate_gradient,
    control_step,
    lbfgs,
    newton_step,
    stochastic_descent,
    variable_projection,
    wolfe,
)

WEIGHTS = Regularization(1e-4, 1e-4, 1e-4)
SETTINGS = TrainingSettings(
    iterations=4, newton_steps=2, hessian_examples=20, batch_size=16, regularization=WEIGHTS
)


def problem(seed=0, n=8, m=60):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, m)
    wave = np.sin(2 * np.pi * np.arange(n) / n)
    pictures = [np.tile(wave, (n, 1)) if c else np.tile(wave[:, None], (1, n)) for c in labels]
    return np.stack(pictures, axis=-1)[None] + 0.8 * rng.normal(size=(1, n, n, m)), labels


def start(**changes):
    return random_network(Architecture((8, 8), channels=4, classes=2, **changes), 0, "numpy", "float64")


@given(st.floats(0.01, 100), st.floats(0.1, 0.9))
def test_wolfe_meets_both_conditions(scale, curvature):
    def f(t):
        return -np.log1p(scale * t) + 0.1 * t**2, -scale / (1 + scale * t) + 0.2 * t

    value, slope = f(0.0)
    found = wolfe(f, value, slope, curvature=curvature)
    after, rise = f(found.step)
    assert found.step > 0
    assert after == found.value <= value + 1e-4 * found.step * slope
    assert rise >= curvature * slope


def test_wolfe_refuses_ascent_and_gives_up_with_its_best():
    assert wolfe(lambda t: (t, 1.0), 0.0, 1.0).step == 0
    unbounded = wolfe(lambda t: (-t, -1.0), 0.0, -1.0, trials=5)
    assert unbounded.step == 16
    assert wolfe(lambda t: (float("nan"), 0.0), 0.0, -1.0).step == 0


def test_a_newton_step_with_wolfe_lengthens_a_short_direction():
    def f(x):
        return float(np.sum((x - 8) ** 2)), 2 * (x - 8)

    x = np.zeros(2)
    point = (x, *f(x), lambda v: 16 * v)
    short = newton_step(np, lambda v: f(v)[0], point)
    long = newton_step(np, lambda v: f(v)[0], point, value_and_gradient=f)
    assert short.step == 1
    assert long.value <= short.value


@pytest.mark.parametrize("method", [block_coordinate_descent, variable_projection])
@pytest.mark.parametrize("loss", ["softmax", "least-squares", "logistic", "svm"])
def test_the_objective_never_rises(method, loss):
    x, labels = problem()
    settings = TrainingSettings(**(vars(SETTINGS) | {"loss": loss, "regularization": WEIGHTS}))
    steps = list(method(start(), x, labels, settings))
    objectives = [step.evaluation.objective for step in steps]
    # The sum of loss and regulariser is found in another order than in the line search.
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(objectives))
    assert objectives[-1] < 0.9 * objectives[0]


def test_lbfgs_never_rises_and_learns():
    x, labels = problem()
    seen = []
    network = lbfgs(start(), x, labels, TrainingSettings(iterations=15, regularization=WEIGHTS), seen.append)
    objectives = [step.evaluation.objective for step in seen]
    assert objectives == sorted(objectives, reverse=True)
    assert len(seen) <= 15
    assert network.accuracy(x, labels) > 0.9


@pytest.mark.parametrize(
    "settings", [("leapfrog", "symmetric"), ("verlet", "hamiltonian"), ("rk4", "residual")]
)
@pytest.mark.parametrize("storage", ["all", "checkpoint", "reversible"])
def test_every_scheme_trains_and_storage_changes_nothing_but_memory(settings, storage):
    integrator, layer = settings
    if storage == "reversible" and integrator == "rk4":
        with pytest.raises(RefmgError, match="cannot be undone"):
            list(block_coordinate_descent(start(integrator="rk4"), *problem(), _stored(storage)))
        return
    losses = [losses_of(integrator, layer, how) for how in ("all", storage)]
    assert losses[0][-1] < losses[0][0]
    # Undone steps differ by rounding, which two iterations of inexact steps carry on.
    assert losses[0] == pytest.approx(losses[1], rel=1e-7)


@cache
def losses_of(integrator, layer, storage):
    net = start(integrator=integrator, layer=layer, layers=4, control_nodes=2)
    return [step.loss for step in block_coordinate_descent(net, *problem(), _stored(storage))]


def _stored(storage):
    return TrainingSettings(
        **(vars(SETTINGS) | {"iterations": 2, "storage": storage, "regularization": WEIGHTS})
    )


@pytest.mark.parametrize(("method", "rate"), [("adam", 0.01), ("sgd", 0.01)])
def test_stochastic_gradients_learn(method, rate):
    x, labels = problem(m=200)
    settings = StochasticSettings(method, rate, epochs=8, examples=20, regularization=WEIGHTS)
    steps = list(stochastic_descent(start(), x, labels, settings))
    assert [step.number for step in steps] == list(range(8))
    assert steps[-1].evaluation.accuracy > 0.8


@pytest.mark.parametrize("method", ["adam", "sgd"])
def test_the_rules_are_those_of_pytorch(method):
    torch = pytest.importorskip("torch", reason="the foreign witness needs the extra 'torch'")
    rng = np.random.default_rng(0)
    gradients, x = rng.normal(size=(5, 3)), np.zeros(3)
    theirs = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    make = {
        "adam": lambda: torch.optim.Adam([theirs], lr=0.1),
        "sgd": lambda: torch.optim.SGD([theirs], lr=0.1, momentum=0.9),
    }
    optimizer, rule, state = make[method](), StochasticSettings(method, 0.1).rule(np), RuleState()
    for g in gradients:
        theirs.grad = torch.from_numpy(g)
        optimizer.step()
        step, state = rule(state, g)
        x = x + step
    assert np.allclose(x, theirs.detach().numpy(), rtol=1e-12, atol=0)


def test_every_iteration_logs_what_happened():
    x, labels = problem()
    *_, last = block_coordinate_descent(start(), x, labels, SETTINGS)
    record = last.record()
    assert set(record) == {
        "iteration",
        "loss",
        "regularizer",
        "accuracy",
        "gradient_norms",
        "cg_iterations",
        "control_step",
        "classifier_steps",
        "seconds",
        "peak_memory",
        "work",
        "classifier_work",
    }
    assert record["accuracy"] == last.network.accuracy(x, labels)
    assert set(record["gradient_norms"]) == {"controls", "classifier"}
    assert 1 <= record["cg_iterations"] <= 10
    assert record["seconds"] > 0
    assert record["peak_memory"] > 1e6


def test_bad_training_is_refused():
    x, labels = problem()
    with pytest.raises(RefmgError, match="found no example of class 1"):
        list(block_coordinate_descent(start(), x, 0 * labels, SETTINGS))
    with pytest.raises(RefmgError, match="unknown loss"):
        TrainingSettings(loss="mse")
    with pytest.raises(RefmgError, match="unknown storage"):
        TrainingSettings(storage="none")
    for bad in ({"method": "adamw"}, {"learning_rate": 0.0}, {"momentum": 1.0}, {"examples": 0}):
        with pytest.raises(RefmgError, match=r"found .*expected|unknown .*expected"):
            StochasticSettings(**bad)


@pytest.mark.parametrize("method", [variable_projection, stochastic_descent, lbfgs])
def test_a_minimal_array_library_trains_the_same_network(method):
    # Well conditioned: with weights of 1e-4 these few images amplify rounding a million times a step.
    (x, labels), weights = problem(m=20), Regularization(1e-2, 1e-2, 1e-2)
    settings = TrainingSettings(iterations=2, newton_steps=2, hessian_examples=8, regularization=weights)
    if method is stochastic_descent:
        settings = StochasticSettings(epochs=2, examples=10, regularization=weights)
    ends = []
    for backend in ("numpy", "array-api-strict"):
        net = random_network(Architecture((8, 8), channels=2, classes=2), 0, backend, "float64")
        found = method(net, x, labels, settings)
        network = found if method is lbfgs else list(found)[-1].network
        ends.append(network.backend.to_numpy(network.controls.stencils))
    assert np.allclose(*ends, rtol=0, atol=1e-8 * np.abs(ends[0]).max())


def test_conjugate_gradients_report_why_they_stopped():
    A, b = np.diag([1.0, 2.0, 3.0]), np.ones(3)
    found = conjugate_gradient(np, lambda v: A @ v, b, max_iterations=3, tolerance=1e-12)
    assert isinstance(found, CGResult)
    assert np.allclose(found.x, b / np.diag(A), rtol=1e-12)
    assert found.residuals[-1] <= 1e-12 * found.residuals[0]
    early = conjugate_gradient(np, lambda v: A @ v, b, max_iterations=1, tolerance=1e-12)
    assert early.reason != found.reason


def test_a_line_search_reports_step_value_and_trials():
    found = armijo(lambda t: (t - 0.2) ** 2, 0.04, -0.4)
    assert isinstance(found, LineSearchResult)
    assert found == LineSearchResult(0.25, (0.25 - 0.2) ** 2, 3)
    assert armijo(lambda t: t, 0.0, -1.0).step == 0.0


def batches_of(network, m=24):
    x, labels = problem(m=m)
    return Batches(x, labels, 2, 12, network.backend, network.dtype)


def test_a_control_step_lowers_the_objective_and_says_by_how_much():
    network = start()
    network, batches = classifier_steps(network, batches_of(network), SETTINGS).network, batches_of(network)
    reached, step = control_step(network, batches, batches, SETTINGS)
    assert isinstance(step, NewtonStep)
    assert step.step > 0
    assert isinstance(step.cg, CGResult)
    assert np.array_equal(reached.controls.flat(np), step.x)
    assert np.array_equal(reached.classifier.W, network.classifier.W)
    _, further = control_step(reached, batches, batches, SETTINGS)
    assert further.value <= step.value


def test_classifier_steps_leave_the_controls_alone():
    network = start()
    found = classifier_steps(network, batches_of(network), SETTINGS)
    assert isinstance(found, ClassifierSteps)
    assert len(found.steps) == SETTINGS.newton_steps
    values = [step.value for step in found.steps]
    assert values == sorted(values, reverse=True)
    # Each objective is without the regulariser of the controls, which are not free.
    assert found.evaluation.loss <= values[-1]
    assert np.array_equal(found.network.controls.flat(np), network.controls.flat(np))


def test_an_iteration_is_recorded_whole():
    x, labels = problem()
    (first, *_) = block_coordinate_descent(start(), x, labels, SETTINGS)
    assert isinstance(first, Iteration)
    record = first.record()
    assert (record["iteration"], record["loss"]) == (0, first.evaluation.loss)
    assert record["classifier_steps"] == first.classifier_steps
    assert "network" not in record
