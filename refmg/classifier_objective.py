"""The learning problem in the classifier, with the final features held fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from refmg.architecture import Architecture
from refmg.batches import Batch, examples_in
from refmg.classifier import Classifier
from refmg.classifier_point import ClassifierPoint
from refmg.distributed.division import Division
from refmg.distributed.share import Share, Terms
from refmg.evaluation import Evaluation, Product
from refmg.feature_parts import FeatureParts
from refmg.losses import named_loss
from refmg.regularization import Regularization
from refmg_backends import Backend, Curvature
from refmg_backends.backend import Array


class ClassifierObjective:
    """The objective as a function of the classifier, with the final features held fixed: convex.

    Parameters
    ----------
    architecture : Architecture
        Gives the grid.
    batches : iterable of Batch
        Final features ``(C, n_1, .., n_d, m)`` and labels; gone through once and kept by the backend in
        the order of its kernels.
    regularization : Regularization
        Of the weights; that of the controls is constant here and left out.
    backend : Backend
        Where the arrays live.
    loss : str
        See :func:`refmg.losses.named_loss`.
    examples : int, optional
        How many there are, where `batches` is no sequence.
    shared : (Share, Division), optional
        Where the batches are those of this rank: how examples are shared out.
    """

    def __init__(
        self,
        architecture: Architecture,
        batches: Iterable[Batch],
        regularization: Regularization,
        backend: Backend,
        loss: str = "softmax",
        examples: int | None = None,
        shared: tuple[Share, Division] | None = None,
    ) -> None:
        self.grid, self.backend, self.xp = architecture.grid, backend, backend.xp
        self.regularization, self.volume = regularization, architecture.grid.cell_volume
        self.loss = named_loss(loss)
        if examples is None:
            assert isinstance(batches, Sequence)
            examples = examples_in(batches)
        self.examples = examples
        self.features = FeatureParts(backend, batches, (examples, architecture.classes), shared)
        self.targets = self.features.targets

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

    def logits(self, classifier: Classifier) -> Array:
        """Return the logits, ``(classes, m)``, of this rank's examples: one pass over the features."""
        return self.features.logits(self._matrix(classifier)) + classifier.mu[:, None]

    def adjoint(self, classifier: Classifier, residuals: Array) -> Array:
        """Return the regularisers' gradient plus the adjoint of the logits: one pass over the features.

        Parameters
        ----------
        classifier : Classifier
            Where the regularisers' gradient is.
        residuals : array, shape (classes, m)
            In the logits.
        """
        weights, sums = self.features.gradient(residuals)
        return self._penalty_product(classifier) + self._flat(weights, sums)

    def hessian_product(self, direction: Classifier, curvature: Curvature) -> Array:
        """Return the Hessian times a direction, for the losses' Hessians in the logits: two products.

        The kernel makes both of one part of the examples after the other, so that the second one finds
        its features in a cache.
        """
        found = self.features.product(self._matrix(direction), direction.mu, curvature)
        weights, biases = (part / self.examples for part in found)
        return self._penalty_product(direction) + self._flat(weights, biases)

    def total(self, term: Callable[[Any, Any], Terms], logits: Array) -> Terms:
        """Return the sums over all examples of what `term` makes of logits and targets."""
        return self.features.total(term, logits, self.targets)

    def mass_inverse(self, classifier: Classifier, vector: Array) -> Array:
        """Return the vector measured by the grid: weights divided by ``h^d``.

        With it conjugate gradients work in the inner product of functions, and take as many steps on
        a fine grid as on a coarse one.
        """
        parts = classifier.unflat(self.xp, vector)
        return Classifier(parts.W / self.volume, parts.mu).flat(self.xp)

    def _matrix(self, classifier: Classifier) -> Array:
        """Return ``h^d W`` as a matrix, one column a class."""
        return self.volume * self.xp.reshape(classifier.W, (-1, classifier.W.shape[-1]))

    def _flat(self, weights: Array, biases: Array) -> Array:
        """Return the adjoint in the classifier as a vector, from that in ``h^d W`` and ``mu``."""
        return Classifier(self.volume * weights, biases).flat(self.xp)

    def _penalty_product(self, classifier: Classifier) -> Array:
        weights = self.regularization.of_weights(self.xp, classifier.W, self.grid)
        return Classifier(weights, self.xp.zeros_like(classifier.mu)).flat(self.xp)

    def penalty(self, classifier: Classifier) -> Array:
        """Return the regulariser of the weights, of shape ``()``."""
        return 0.5 * self.xp.sum(classifier.flat(self.xp) * self._penalty_product(classifier))
