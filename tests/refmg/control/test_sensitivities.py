"""Tangent, adjoint, gradient and Hessian products, on every backend."""

import numpy as np
import pytest

from refmg import (
    Architecture,
    Classifier,
    ClassifierObjective,
    Controls,
    Grid,
    Regularization,
    get_backend,
    random_network,
)
from refmg.activation import ACTIVATIONS
from refmg.batches import Batches
from refmg.classifier import zero_classifier
from refmg.losses import LOSSES, as_targets, named_loss
from refmg.objective import ControlObjective
from refmg.propagation import Propagation
from refmg.trajectory import linearized
from refmg_backends import RefmgError

EPS = np.finfo(float).eps
SHAPES = [(7,), (4, 6), (3, 4, 3)]
every_shape = pytest.mark.parametrize("shape", SHAPES)


class Problem:
    """A small random problem."""

    def __init__(self, backend, shape=(4, 6), activation="tanh", boundary="periodic", examples=5):
        self.backend = get_backend(backend) if isinstance(backend, str) else backend
        self.xp, rng = self.backend.xp, np.random.default_rng(7)
        self.rng = rng
        self.a = Architecture(
            shape, channels=2, layers=3, final_time=1.5, classes=3, activation=activation, boundary=boundary
        )
        self.network = random_network(self.a, 1, self.backend, "float64")
        self.x = rng.normal(size=(1, *shape, examples))
        self.labels = np.arange(examples) % 3
        self.batches = Batches(self.x, self.labels, 3, 2, self.backend, "float64")
        W, mu = rng.normal(size=self.a.classifier_shape), rng.normal(size=3)
        self.classifier = Classifier(self.backend.asarray(W), self.backend.asarray(mu))
        self.regularization = Regularization(0.1, 0.2, 0.3)

    def controls(self, scale=1.0):
        def like(a):
            return self.backend.asarray(scale * self.rng.normal(size=a.shape))

        return self.network.controls.map(like)

    def control_objective(self, regularization=None):
        chosen = self.regularization if regularization is None else regularization
        return ControlObjective(self.network.with_classifier(self.classifier), self.batches, chosen)

    def classifier_objective(self):
        return ClassifierObjective(self.a, self.features(), self.regularization, self.backend)

    def features(self):
        x = self.rng.normal(size=(2, *self.a.shape, len(self.labels)))
        return Batches(x, self.labels, 3, 2, self.backend, "float64")


def dot(problem, a, b):
    return float(problem.xp.sum(a * b))


@every_shape
@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_the_adjoint_is_the_transpose_of_the_tangent(backend, shape, boundary):
    p = Problem(backend, shape, boundary=boundary)
    trajectory = linearized(Propagation(p.a, p.controls(), p.backend), p.backend.asarray(p.x))
    Y = trajectory.Y
    direction, cotangent = p.controls(), p.backend.asarray(p.rng.normal(size=Y.shape))
    left = dot(p, trajectory.tangent(Propagation(p.a, direction, p.backend)), cotangent)
    right = dot(p, direction.flat(p.xp), trajectory.adjoint(cotangent).flat(p.xp))
    # Sums of some thousand products: their rounding grows at most with the number of terms.
    assert abs(left - right) <= 1e3 * EPS * max(abs(left), float(np.prod(Y.shape)))


@pytest.mark.parametrize("activation", sorted({*ACTIVATIONS} - {"relu"}))
def test_the_tangent_is_the_derivative(activation):
    p = Problem("numpy", activation=activation)
    at, direction = p.controls(0.3), p.controls(0.3)
    trajectory = linearized(Propagation(p.a, at, p.backend), p.x)
    Y = trajectory.Y
    tangent = trajectory.tangent(Propagation(p.a, direction, p.backend))

    def remainder(e):
        moved = at.unflat(np, at.flat(np) + e * direction.flat(np))
        return np.abs(Propagation(p.a, moved, p.backend).apply(p.x) - Y - e * tangent).max()

    # The remainder is quadratic: a tenth of the step leaves about a hundredth of it.
    assert remainder(1e-4) < 0.02 * remainder(1e-3)


def test_the_taylor_test_rejects_a_wrong_tangent():
    p = Problem("numpy")
    at, direction = p.controls(0.3), p.controls(0.3)
    trajectory = linearized(Propagation(p.a, at, p.backend), p.x)
    Y = trajectory.Y
    wrong = 1.01 * trajectory.tangent(Propagation(p.a, direction, p.backend))
    moved = [at.unflat(np, at.flat(np) + e * direction.flat(np)) for e in (1e-3, 1e-4)]
    first, second = (
        np.abs(Propagation(p.a, m, p.backend).apply(p.x) - Y - e * wrong).max()
        for m, e in zip(moved, (1e-3, 1e-4), strict=True)
    )
    assert second > 0.05 * first


def test_the_gradient_of_the_controls_is_the_derivative(backend):
    p = Problem(backend)
    objective, at = p.control_objective(), p.controls(0.3).flat(p.xp)
    value, gradient = objective.value_and_gradient(at)
    direction = p.controls(0.3).flat(p.xp)
    assert value == pytest.approx(objective.value(at), rel=100 * EPS)

    def remainder(e):
        return abs(objective.value(at + e * direction) - value - e * dot(p, gradient, direction))

    assert remainder(1e-4) < 0.02 * remainder(1e-3)


def test_the_gauss_newton_matrix_is_symmetric_and_semidefinite(backend):
    p = Problem(backend)
    product = p.control_objective().gauss_newton(p.controls(0.3).flat(p.xp))
    u, v = p.controls().flat(p.xp), p.controls().flat(p.xp)
    assert dot(p, u, product(v)) == pytest.approx(dot(p, v, product(u)), rel=1e4 * EPS)
    assert dot(p, u, product(u)) > 0


def test_the_gauss_newton_matrix_is_j_transposed_h_j():
    p = Problem("numpy", examples=2)
    objective, at = p.control_objective(Regularization()), p.controls(0.3)
    size = at.flat(np).size
    product = objective.gauss_newton(at.flat(np))
    G = np.stack([product(e) for e in np.eye(size)])
    trajectory = linearized(Propagation(p.a, at, p.backend), p.batches[0].x)
    volume = p.a.grid.cell_volume
    J = np.stack(
        [trajectory.tangent(Propagation(p.a, at.unflat(np, e), p.backend)).ravel() for e in np.eye(size)], 1
    )
    logits = p.classifier.logits(p.backend, volume, trajectory.Y)
    W = volume * p.classifier.W.reshape(-1, 3)
    J = np.kron(W.T, np.eye(2)) @ J
    point = named_loss("softmax").linearize(np, logits, p.batches[0].targets)
    H = np.stack([point.hessian_product(e.reshape(3, 2)).ravel() for e in np.eye(6)])
    assert np.allclose(G, J.T @ H @ J / 2, rtol=0, atol=1e3 * EPS * np.abs(G).max())


def test_gradient_and_hessian_of_the_classifier(backend):
    p = Problem(backend)
    objective, at = p.classifier_objective(), p.classifier
    value, gradient, product = objective.derivatives(at)
    direction = p.backend.asarray(p.rng.normal(size=at.flat(p.xp).shape))
    assert value == pytest.approx(objective.value(at), rel=100 * EPS)
    e = 1e-5
    ahead, behind = (
        objective.derivatives(at.unflat(p.xp, at.flat(p.xp) + s * e * direction)) for s in (1, -1)
    )
    assert (ahead[0] - behind[0]) / (2 * e) == pytest.approx(dot(p, gradient, direction), rel=1e-7)
    difference = (ahead[1] - behind[1]) / (2 * e)
    error = p.backend.to_numpy(difference - product(direction))
    # Central differences: rounding eps / e, truncation e^2.
    assert np.abs(error).max() < 1e-8


@every_shape
@pytest.mark.parametrize("loss", LOSSES)
def test_a_constant_image_has_the_same_loss_at_h_and_2h(shape, loss):
    coarse, fine = Grid(tuple(4 * n for n in shape)), Grid(tuple(8 * n for n in shape))
    losses = []
    for grid in (coarse, fine):
        W = np.broadcast_to(np.array([0.3, -0.2]), (1, *grid.shape, 2))
        logits = Classifier(W, np.zeros(2)).logits(
            get_backend("numpy"), grid.cell_volume, np.full((1, *grid.shape, 1), 0.7)
        )
        losses.append(named_loss(loss).value(np, logits, as_targets(np.array([1]), 2)))
    assert losses[0] == pytest.approx(losses[1], rel=fine.cells * EPS)


def test_without_the_cell_volume_the_losses_would_differ():
    losses = []
    for n in (4, 8):
        logits = Classifier(np.ones((1, n, 2)) * [0.3, -0.2], np.zeros(2)).logits(
            get_backend("numpy"), 1.0, np.ones((1, n, 1))
        )
        losses.append(named_loss("softmax").value(np, logits, as_targets(np.array([1]), 2)))
    assert abs(losses[0] - losses[1]) > 0.1


def test_smoothness_means_the_same_at_every_resolution():
    energies = []
    for n in (64, 128):
        grid = Grid((n, n))
        x = (np.arange(n) + 0.5) / n
        W = (np.cos(np.pi * x)[:, None] * np.cos(np.pi * x))[None, ..., None]
        energies.append(float(np.sum(W * Regularization(alpha_W=1.0).of_weights(np, W, grid))))
    # The integral of |grad|^2 is pi^2 / 2; the scheme is of second order in h.
    assert energies == pytest.approx([np.pi**2 / 2] * 2, rel=1e-3)


def test_smoothness_in_time_means_the_same_at_every_depth():
    energies = []
    for layers in (64, 128):
        t = np.arange(layers) / layers
        c = Controls(
            np.zeros((1, 1, 3)),
            np.zeros((layers, 1, 1, 3)) + t[:, None, None, None] ** 2,
            np.zeros((layers, 1)),
        )
        product = Regularization(alpha_t=1.0).of_controls(np, c, 1 / layers)
        energies.append(float(np.sum(c.flat(np) * product.flat(np))))
    # Three taps, each with the integral of (2 t)^2, which is 4/3; of first order in dt at the ends.
    assert energies == pytest.approx([4.0, 4.0], rel=0.05)
    assert abs(energies[1] - 4) < abs(energies[0] - 4)


def test_the_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr("refmg_backends.numpy_backend.processors", lambda: 3)
    p = Problem("numpy", examples=40)
    objective, at = p.control_objective(), p.controls(0.3).flat(np)
    first = objective.value_and_gradient(at)
    for _ in range(3):
        again = objective.value_and_gradient(at)
        assert again[0] == first[0]
        assert np.array_equal(again[1], first[1])


def test_bad_settings_are_refused():
    for bad in (
        {"layers": 0},
        {"width": 4},
        {"final_time": 0.0},
        {"boundary": "mirror"},
        {"activation": "tan"},
    ):
        with pytest.raises(RefmgError, match=r"found .*expected|unknown .*expected"):
            Architecture((4, 4), **bad)
    with pytest.raises(RefmgError, match="alpha_W = -1"):
        Regularization(alpha_W=-1)
    with pytest.raises(RefmgError, match="found labels from 0 to 5 for 3 classes"):
        as_targets(np.array([0, 5]), 3)
    with pytest.raises(RefmgError, match="found features of shape"):
        random_network(Architecture((4, 4)), 0).predict(np.zeros((1, 5, 4, 2)))


def test_a_zero_classifier_finds_all_classes_equally_likely():
    p = Problem("numpy")
    network = p.network.with_classifier(zero_classifier(p.a, p.backend, "float64"))
    assert not network.logits(p.x).any()
