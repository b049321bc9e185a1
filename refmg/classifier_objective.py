"""The learning problem in the classifier, with the final features held fixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refmg.architecture import Architecture
from refmg.batches import Batch, examples_in
from refmg.classifier import Classifier
from refmg.evaluation import Evaluation, Product, correct
from refmg.losses import named_loss
from refmg.regularization import Regularization
from refmg_backends import Backend
from refmg_backends.backend import Array


class ClassifierObjective:
    """The objective as a function of the classifier, with the final features held fixed: convex.

    Parameters
    ----------
    architecture : Architecture
        Gives the grid.
    batches : sequence of Batch
        Final features ``(C, n_1, .., n_d, m)`` and labels.
    regularization : Regularization
        Of the weights; that of the controls is constant here and left out.
    backend : Backend
        Where the arrays live.
    loss : str
        See :func:`refmg.losses.named_loss`.
    """

    def __init__(
        self,
        architecture: Architecture,
        batches: Sequence[Batch],
        regularization: Regularization,
        backend: Backend,
        loss: str = "softmax",
    ) -> None:
        self.grid, self.batches, self.backend, self.xp = architecture.grid, batches, backend, backend.xp
        self.regularization, self.volume = regularization, architecture.grid.cell_volume
        self.loss, self.examples = named_loss(loss), examples_in(batches)

    def evaluate(self, classifier: Classifier) -> Evaluation:
        """Return loss, regulariser and accuracy."""
        xp = self.xp

        def terms(batch: Batch) -> tuple[float, int]:
            logits = classifier.logits(self.backend, self.volume, batch.x)
            return self.loss.value(xp, logits, batch.targets), correct(xp, logits, batch.targets)

        loss, hits = 0.0, 0
        for part, count in self.backend.map(terms, self.batches):
            loss, hits = loss + part, hits + count
        return Evaluation(loss / self.examples, self._penalty(classifier), hits / self.examples)

    def value(self, classifier: Classifier) -> float:
        """Return the objective."""
        return self.evaluate(classifier).objective

    def derivatives(self, classifier: Classifier) -> tuple[float, Array, Product]:
        """Return the objective, its gradient as a vector, and the product with its Hessian."""
        xp = self.xp

        def terms(batch: Batch) -> tuple[float, Array, Callable[[Array], Array]]:
            logits = classifier.logits(self.backend, self.volume, batch.x)
            point = self.loss.linearize(xp, logits, batch.targets)
            residual = point.gradient / self.examples
            gradient = classifier.weight_gradient(self.backend, self.volume, batch.x, residual).flat(xp)
            return point.value, gradient, point.hessian_product

        loss, total, curvatures = 0.0, self._penalty_product(classifier), []
        for part, gradient, curvature in self.backend.map(terms, self.batches):
            loss, total = loss + part, total + gradient
            curvatures.append(curvature)

        def product(vector: Array) -> Array:
            return self._hessian_product(classifier.unflat(xp, vector), curvatures)

        return loss / self.examples + self._penalty(classifier), total, product

    def _hessian_product(self, direction: Classifier, curvatures: Sequence[Product]) -> Array:
        xp = self.xp

        def term(pair: tuple[Batch, Product]) -> Array:
            batch, curvature = pair
            logits = direction.logits(self.backend, self.volume, batch.x)
            curved = curvature(logits) / self.examples
            return direction.weight_gradient(self.backend, self.volume, batch.x, curved).flat(xp)

        total = self._penalty_product(direction)
        for part in self.backend.map(term, zip(self.batches, curvatures, strict=True)):
            total = total + part
        return total

    def mass_inverse(self, classifier: Classifier, vector: Array) -> Array:
        """Return the vector measured by the grid: weights divided by ``h^d``.

        With it conjugate gradients work in the inner product of functions, and take as many steps on
        a fine grid as on a coarse one.
        """
        parts = classifier.unflat(self.xp, vector)
        return Classifier(parts.W / self.volume, parts.mu).flat(self.xp)

    def _penalty_product(self, classifier: Classifier) -> Array:
        weights = self.regularization.of_weights(self.xp, classifier.W, self.grid)
        return Classifier(weights, self.xp.zeros_like(classifier.mu)).flat(self.xp)

    def _penalty(self, classifier: Classifier) -> float:
        return 0.5 * float(self.xp.sum(classifier.flat(self.xp) * self._penalty_product(classifier)))
