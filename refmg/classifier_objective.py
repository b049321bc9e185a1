"""The learning problem in the classifier, with the final features held fixed."""

from __future__ import annotations

from collections.abc import Sequence

from refmg.architecture import Architecture
from refmg.batches import Batch, examples_in
from refmg.classifier import Classifier
from refmg.classifier_point import ClassifierPoint, Labelled
from refmg.evaluation import Evaluation, Product
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

    def at(self, classifier: Classifier) -> ClassifierPoint:
        """Return the objective about a classifier: one pass over the features."""
        return ClassifierPoint(self, classifier, self.logits(classifier))

    def evaluate(self, classifier: Classifier) -> Evaluation:
        """Return loss, regulariser and accuracy."""
        return self.at(classifier).evaluation

    def value(self, classifier: Classifier) -> float:
        """Return the objective."""
        return self.evaluate(classifier).objective

    def derivatives(self, classifier: Classifier) -> tuple[float, Array, Product]:
        """Return the objective, its gradient as a vector, and the product with its Hessian."""
        return self.at(classifier).derivatives()

    def logits(self, classifier: Classifier) -> list[Labelled]:
        """Return logits and targets of every batch: one pass over the features."""

        def term(batch: Batch) -> Labelled:
            return classifier.logits(self.backend, self.volume, batch.x), batch.targets

        return list(self.backend.map(term, self.batches))

    def adjoint(self, classifier: Classifier, residuals: Sequence[Array]) -> Array:
        """Return the regularisers' gradient plus the adjoint of the logits: one pass over the features.

        Parameters
        ----------
        classifier : Classifier
            Where the regularisers' gradient is.
        residuals : sequence of array, each of shape (classes, m)
            One a batch.
        """

        def term(pair: tuple[Batch, Array]) -> Array:
            batch, G = pair
            return classifier.weight_gradient(self.backend, self.volume, batch.x, G).flat(self.xp)

        total = self._penalty_product(classifier)
        for part in self.backend.map(term, zip(self.batches, residuals, strict=True)):
            total = total + part
        return total

    def hessian_product(self, direction: Classifier, curvatures: Sequence[Product]) -> Array:
        """Return the Hessian times a direction, for the losses' Hessians in the logits: two products.

        Both for one batch after the other, which finds its features in the cache the second time.
        """

        def term(pair: tuple[Batch, Product]) -> Array:
            batch, curvature = pair
            logits = direction.logits(self.backend, self.volume, batch.x)
            curved = curvature(logits) / self.examples
            return direction.weight_gradient(self.backend, self.volume, batch.x, curved).flat(self.xp)

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

    def penalty(self, classifier: Classifier) -> Array:
        """Return the regulariser of the weights, of shape ``()``."""
        return 0.5 * self.xp.sum(classifier.flat(self.xp) * self._penalty_product(classifier))
