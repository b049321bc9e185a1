"""Checks of classifier, training and moves of whole networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from refmg import Network, ParameterMove, load_network, random_network, save_network
from refmg.checks import dot_test
from refmg.classifier import Classifier
from refmg.classifier_objective import ClassifierObjective
from refmg.multilevel import change_depth
from refmg.optimization import TrainingSettings, block_coordinate_descent
from refmg_validation.checks.control import WEIGHTS, difference
from refmg_validation.checks.control_problem import EPS, ControlProblem
from refmg_validation.checks.finding import Finding

MOVES = ("linear", "average", "power-law", "unchanged")
EXAMPLES = 24
SETTINGS = TrainingSettings(3, newton_steps=2, hessian_examples=12, batch_size=8, regularization=WEIGHTS)
Real = NDArray[np.float64]


def training_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    problem = ControlProblem("residual", "euler", seed=seed)
    yield constant_image(problem.network)
    yield from classifier_derivatives(problem)
    yield from descent(problem.network, seed)
    yield from moves(seed)
    yield from depth(seed)
    yield saved(problem.network)


def constant_image(network: Network) -> Finding:
    """Compare logits of a constant feature at h and at h/2: the sum over cells is an integral of W."""
    coarse, place = network.classifier, network.backend
    fine = replace(coarse, W=coarse.W.repeat(2, axis=1).repeat(2, axis=2))
    volume = network.architecture.grid.cell_volume
    a, b = (
        classifier.logits(place, h, np.ones((*classifier.W.shape[:-1], 1)))
        for classifier, h in ((coarse, volume), (fine, volume / 4))
    )
    bound = 4 * fine.W.size * EPS
    return Finding("logits of a constant image at h and at h/2", difference(b, a), bound, "4 n eps")


def classifier_derivatives(p: ControlProblem) -> Iterator[Finding]:
    """Compare gradient and Hessian product of the classifier with dense formulas of softmax."""
    a, classifier, place = p.architecture, p.network.classifier, p.network.backend
    Y = p.network.propagation.apply(p.x)
    batch = replace(p.batches[0], x=Y)
    objective = ClassifierObjective(a, [batch], replace(WEIGHTS, alpha_W=0.0), place)
    _, gradient, product = objective.derivatives(classifier)
    A = a.grid.cell_volume * Y.reshape(-1, Y.shape[-1])
    S = _softmax(A, classifier)
    bound = 64 * A.shape[0] * EPS
    dense = _stacked(A, (S - batch.targets.T) / len(S))
    yield Finding("gradient of the classifier, dense formula", difference(gradient, dense), bound, "64 n eps")
    v = np.random.default_rng([p.seed, 41]).normal(size=dense.size)
    V, nu = np.split(v, [A.shape[0] * S.shape[1]])
    D = A.T @ V.reshape(A.shape[0], -1) + nu
    dense = _stacked(A, S * (D - np.sum(S * D, axis=1, keepdims=True)) / len(S))
    error = difference(product(v), dense)
    yield Finding("Hessian product of the classifier, dense formula", error, bound, "64 n eps")


def _softmax(A: Real, classifier: Classifier) -> Real:
    Z = A.T @ classifier.W.reshape(A.shape[0], -1) + classifier.mu
    powers = np.exp(Z - Z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _stacked(A: Real, G: Real) -> Real:
    """Return the gradient in weights and biases of a gradient in the logits ``(m, classes)``."""
    return np.concatenate([(A @ G).ravel(), G.sum(axis=0)])


def descent(network: Network, seed: int) -> Iterator[Finding]:
    """Check that block coordinate descent never rises, and goes on to the same bits."""
    x = np.random.default_rng([seed, 42]).normal(size=(1, *network.architecture.shape, EXAMPLES))
    labels = np.arange(EXAMPLES) % network.architecture.classes
    steps = list(block_coordinate_descent(network, x, labels, SETTINGS))
    rises = np.diff([step.evaluation.objective for step in steps])
    rise = max(0.0, float(rises.max()))
    yield Finding("block coordinate descent: the largest rise", rise, 0.0, "no rise")
    again = list(block_coordinate_descent(steps[1].network, x, labels, SETTINGS, done=1))[-1].network
    error = _unequal(again, steps[-1].network)
    yield Finding("block coordinate descent, gone on after an interruption", error, 0.0, "the same bits")


def _unequal(a: Network, b: Network) -> float:
    """Return how many parameters differ."""
    pairs = ((a.controls, b.controls), (a.classifier, b.classifier))
    return float(sum(np.sum(x.flat(np) != y.flat(np)) for x, y in pairs))


def moves(seed: int) -> Iterator[Finding]:
    """Dot tests of the map of all parameters to a coarser grid, and its adjoint."""
    a = replace(ControlProblem("residual", "euler").architecture, shape=(8, 6))
    network, rng = random_network(a, seed, "numpy", "float64"), np.random.default_rng([seed, 43])
    for name in MOVES:
        move = ParameterMove(network, (4, 3), name)
        test = dot_test(move.restrict, move.adjoint, (move.fine_size, move.coarse_size), rng)
        label = f"{name}: parameters on the coarse grid, and the adjoint"
        yield Finding(label, test.error, test.bound, "16 sqrt(n) eps")


def depth(seed: int) -> Iterator[Finding]:
    """Check that twice the layers see the old controls at the old times, to the last bit."""
    network = ControlProblem("residual", "euler", control_nodes=4, seed=seed).network
    one_a_layer = replace(network.architecture, control_nodes=None)
    deep = change_depth(replace(network, architecture=one_a_layer), 8)
    error = float(np.sum(deep.controls.stencils[::2] != network.controls.stencils))
    yield Finding("twice as deep: old controls at the old times", error, 0.0, "the same bits")
    between = (network.controls.stencils[:-1] + network.controls.stencils[1:]) / 2
    error = float(np.abs(deep.controls.stencils[1:-1:2] - between).max())
    yield Finding("twice as deep: means of neighbours between them", error, 8 * EPS, "8 eps")


def saved(network: Network) -> Finding:
    """Write a network and read it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.safetensors"
        save_network(path, network)
        again, _ = load_network(path, network.backend)
    return Finding("a network written and read", _unequal(again, network), 0.0, "the same bits")
