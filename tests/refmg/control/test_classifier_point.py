"""The classifier's objective along a line: the same numbers as without kept logits."""

import gc
import weakref

import numpy as np
import pytest

from refmg import (
    Architecture,
    Batches,
    Classifier,
    ClassifierLine,
    ClassifierObjective,
    ClassifierPoint,
    Evaluation,
    Regularization,
    get_backend,
)
from refmg.losses import LOSSES

EPS = np.finfo(float).eps
SHAPE, CLASSES, EXAMPLES = (2, 5, 5), 3, 20


class Line:
    """A random point, a random direction and the objective."""

    def __init__(self, backend, loss="softmax"):
        rng = np.random.default_rng(3)
        self.place = get_backend(backend) if isinstance(backend, str) else backend
        self.Y, labels = rng.normal(size=(*SHAPE, EXAMPLES)), np.arange(EXAMPLES) % CLASSES
        a = Architecture(SHAPE[1:], channels=SHAPE[0], classes=CLASSES)
        features = list(Batches(self.Y, labels, CLASSES, 7, self.place, "float64"))
        self.objective = ClassifierObjective(a, features, Regularization(0.1), self.place, loss)
        size = int(np.prod(SHAPE)) * CLASSES + CLASSES
        self.x, self.d = 20 * rng.normal(size=size), 20 * rng.normal(size=size)
        self.start, self.direction = self.classifier(self.x), self.place.asarray(self.d)

    def classifier(self, vector):
        W, mu = vector[:-CLASSES].reshape(*SHAPE, CLASSES), vector[-CLASSES:]
        return Classifier(self.place.asarray(W), self.place.asarray(mu))

    def bound(self, t):
        """Rounding of logits by dot products, directly and as a sum of two; the loss doubles it at most."""
        features = self.Y.reshape(-1, EXAMPLES)
        sizes = abs(self.x) + abs(t * self.d)
        W = sizes[:-CLASSES].reshape(-1, CLASSES)
        logits = self.objective.volume * W.T @ abs(features) + sizes[-CLASSES:, None]
        return 2 * 2 * (len(features) + 4) * EPS * logits.max()


@pytest.mark.parametrize("t", [1.0, 0.25, 2**-9])
def test_values_along_a_line_are_the_objective(backend, t):
    p = Line(backend)
    line = p.objective.at(p.start).along(p.direction)
    direct = p.objective.evaluate(p.classifier(p.x + t * p.d))
    # Logits, then a sum over the examples.
    bound = p.bound(t) + EXAMPLES * EPS * direct.objective
    assert abs(line(t) - direct.objective) <= bound
    assert line.at(t).evaluation.accuracy == direct.accuracy
    # The bound tells a wrong step from rounding.
    assert abs(line(1.001 * t) - direct.objective) > bound


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_derivatives_at_a_point_reached_are_those_found_afresh(loss):
    p = Line("numpy", loss)
    point = p.objective.at(p.start)
    for t in (0.5, 0.25, 1.0):
        point = point.along(p.direction).at(t)
    assert np.array_equal(point.classifier.flat(np), ((p.x + 0.5 * p.d) + 0.25 * p.d) + p.d)
    ours, theirs = point.derivatives(), p.objective.derivatives(point.classifier)
    # Relative to the largest logit's rounding; three updates, and at most ten terms that each passes on.
    bound = 10 * 3 * p.bound(1.75)
    assert ours[0] == pytest.approx(theirs[0], rel=bound)
    assert np.abs(ours[1] - theirs[1]).max() <= bound * np.abs(theirs[1]).max()
    there = ours[2](p.direction), theirs[2](p.direction)
    assert np.abs(there[0] - there[1]).max() <= bound * np.abs(there[1]).max()
    start = p.objective.derivatives(p.start)
    assert np.abs(start[1] - theirs[1]).max() > bound * np.abs(theirs[1]).max()


def test_no_step_stays_at_the_same_point_without_a_pass():
    p = Line("numpy")
    point = p.objective.at(p.start)
    line = point.along(p.direction)
    assert line.at(0.0) is point
    assert "logits" not in vars(line)
    assert line.at(0.5) is line.at(0.5)
    # Also after trials along a direction that is not finite.
    endless = point.along(np.full_like(p.direction, np.inf))
    vars(endless)["logits"] = np.full_like(point.logits, np.inf)
    assert not np.isfinite(endless.at(0.5).logits).any()
    assert endless.at(0.0) is point


def test_features_are_freed_without_a_garbage_collection():
    p = Line("numpy")
    point = p.objective.at(p.start)
    for t in (0.5, 1.0):
        point = point.along(p.direction).at(t)
    _, _, product = point.derivatives()
    product(p.direction)
    features = weakref.ref(p.objective.features)
    gc.disable()
    try:
        del p.objective, point, product
        assert features() is None
    finally:
        gc.enable()


def test_a_point_and_a_line_know_their_classifier():
    line = Line("numpy")
    labelled = line.objective.logits(line.start)
    point = ClassifierPoint(line.objective, line.start, list(zip(labelled, labelled, strict=True)))
    assert point.classifier is line.start
    point = line.objective.at(line.start)
    assert isinstance(point, ClassifierPoint)
    along = ClassifierLine(point, line.direction)
    assert along(0.0) == point.evaluation.objective
    reached = along.at(0.5).classifier.flat(np)
    assert np.array_equal(reached, line.x + 0.5 * line.d)
    assert isinstance(point.along(line.direction), ClassifierLine)


def test_an_evaluation_adds_loss_and_regulariser():
    assert Evaluation(0.5, 0.25, 0.9).objective == 0.75
