"""The classifier's objective about one point, whose logits are kept: they are linear in the classifier."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from refmg.classifier import Classifier
from refmg.evaluation import Evaluation, Product, Totals, correct
from refmg_backends.backend import Array

if TYPE_CHECKING:
    from refmg.classifier_objective import ClassifierObjective


class ClassifierPoint:
    """Value and derivatives at one classifier, and the objective along any direction from there.

    Parameters
    ----------
    objective : ClassifierObjective
        Gives features, loss and regulariser.
    classifier : Classifier
        The point.
    logits : array, shape (classes, m)
        Of all examples there.
    """

    def __init__(self, objective: ClassifierObjective, classifier: Classifier, logits: Array) -> None:
        self.objective, self.classifier, self.logits = objective, classifier, logits
        self._evaluation: Evaluation | None = None

    @property
    def evaluation(self) -> Evaluation:
        """Loss, regulariser and accuracy: no pass over the features, one transfer to the host."""
        # No cached_property: up to Python 3.11 its lock is held while ranks, as threads, wait for each other.
        if self._evaluation is None:
            o = self.objective
            totals = Totals(o.backend)
            totals.add(*o.total(self._scores, self.logits))
            self._evaluation = totals.evaluation(o.examples, o.penalty(self.classifier))
        return self._evaluation

    def _scores(self, logits: Array, targets: Array) -> tuple[Array, Array]:
        o = self.objective
        return o.loss.value(o.xp, logits, targets), correct(o.xp, logits, targets)

    def derivatives(self) -> tuple[float, Array, Product]:
        """Return the objective, its gradient as a vector and the product with its Hessian.

        One pass over the features, and two for each product.
        """
        o, at = self.objective, self.classifier
        point = o.loss.linearize(o.xp, self.logits, o.targets)
        gradient = o.adjoint(at, point.gradient / o.examples)

        def product(vector: Array) -> Array:
            return o.hessian_product(at.unflat(o.xp, vector), point.curvature)

        return self.evaluation.objective, gradient, product

    def along(self, direction: Array) -> ClassifierLine:
        """Return the objective along a direction, given as a vector."""
        return ClassifierLine(self, direction)


class ClassifierLine:
    r"""The objective at :math:`x + t d`, from the logits of the point and of the direction.

    The logits :math:`z(x + t d) = z(x) + t z(d)` are found by two roundings each, for any number of trials
    from one pass over the features.

    Parameters
    ----------
    start : ClassifierPoint
        ``x``.
    direction : array
        ``d`` as a vector.
    """

    def __init__(self, start: ClassifierPoint, direction: Array) -> None:
        self.start, self.direction = start, direction
        self._last: tuple[float, ClassifierPoint] = 0.0, start

    @cached_property
    def logits(self) -> Array:
        """Of the direction; found when first needed, by a pass over the features."""
        o = self.start.objective
        return o.logits(self.start.classifier.unflat(o.xp, self.direction))

    def __call__(self, t: float) -> float:
        """Return the objective at `t`."""
        return self.at(t).evaluation.objective

    def at(self, t: float) -> ClassifierPoint:
        """Return the point at `t`, without a pass over the features; the last one is remembered."""
        if t == 0:  # where a direction that is not finite changes nothing
            return self.start
        if self._last[0] != t:
            start, xp = self.start, self.start.objective.xp
            reached = start.classifier.unflat(xp, start.classifier.flat(xp) + t * self.direction)
            logits = start.logits + t * self.logits
            self._last = t, ClassifierPoint(start.objective, reached, logits)
        return self._last[1]
