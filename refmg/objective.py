"""The learning problem: mean cross-entropy plus regularisers (paper, equation 6), streamed in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from refmg.architecture import Architecture
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.loss import cross_entropy, cross_entropy_gradient, cross_entropy_hessian, one_hot, softmax
from refmg.propagation import Propagation, Trajectory
from refmg.regularization import Regularization
from refmg_backends import Backend
from refmg_backends.backend import Array

Product = Callable[[Array], Array]


@dataclass(frozen=True)
class Batch:
    """Some examples: images or features, examples last, and one-hot labels ``(classes, m)``."""

    x: Array
    targets: Array

    @property
    def size(self) -> int:
        """Number of examples."""
        return int(self.targets.shape[1])


def make_batches(
    x: np.ndarray, labels: np.ndarray, classes: int, size: int, backend: Backend, dtype: str
) -> list[Batch]:
    """Divide examples into batches on the backend, in the given order.

    Parameters
    ----------
    x : ndarray, shape (C_in, n_1, .., n_d, m)
        Images on the host.
    labels : ndarray of int, shape (m,)
        Their classes.
    classes, size : int
        Number of classes; examples a batch.
    backend : Backend
        Where the batches shall live.
    dtype : str
        Their precision.

    Returns
    -------
    list of Batch
    """
    targets = one_hot(labels, classes)
    parts = [slice(start, start + size) for start in range(0, len(labels), size)]
    return [
        Batch(
            backend.asarray(np.ascontiguousarray(x[..., part]), dtype=dtype),
            backend.asarray(np.ascontiguousarray(targets[:, part]), dtype=dtype),
        )
        for part in parts
    ]


class ControlObjective:
    """The objective as a function of the controls, with the classifier held fixed.

    Parameters
    ----------
    architecture : Architecture
        Sizes and constants.
    batches : sequence of Batch
        Images and labels.
    classifier : Classifier
        Held fixed.
    regularization : Regularization
        Of the controls; that of the weights is constant here and left out.
    backend : Backend
        Where the arrays live.
    """

    def __init__(
        self,
        architecture: Architecture,
        batches: Sequence[Batch],
        classifier: Classifier,
        regularization: Regularization,
        backend: Backend,
    ) -> None:
        self.architecture, self.batches, self.classifier = architecture, batches, classifier
        self.regularization, self.backend, self.xp = regularization, backend, backend.xp
        self.volume = architecture.grid.cell_volume

    def propagation(self, controls: Controls) -> Propagation:
        """Return the propagation at these controls, or along this direction."""
        return Propagation(self.architecture, controls, self.backend)

    def value(self, controls: Controls) -> float:
        """Return the objective."""
        propagation, examples = self.propagation(controls).prepared, _count(self.batches)

        def loss(batch: Batch) -> float:
            return self._loss(batch, propagation.apply(batch.x))

        return sum(self.backend.map(loss, self.batches)) / examples + self._penalty(controls)

    def value_and_gradient(self, controls: Controls) -> tuple[float, Array]:
        """Return the objective and its gradient as a vector, by the discrete adjoint."""
        propagation, examples, xp = self.propagation(controls).prepared, _count(self.batches), self.xp

        def terms(batch: Batch) -> tuple[float, Array]:
            Y, trajectory = propagation.linearize(batch.x)
            residual = cross_entropy_gradient(softmax(xp, self._logits(Y)), batch.targets) / examples
            back = self.classifier.logits_adjoint(xp, self.volume, residual)
            return self._loss(batch, Y), trajectory.adjoint(back).flat(xp)

        loss, total = 0.0, self.penalty_product(controls)
        for part, gradient in self.backend.map(terms, self.batches):
            loss, total = loss + part, total + gradient
        return loss / examples + self._penalty(controls), total

    def gauss_newton(self, controls: Controls, batches: Sequence[Batch] | None = None) -> Product:
        r"""Return the product with the Gauss-Newton matrix ``J^T H J``, regularisers included.

        Parameters
        ----------
        controls : Controls
            Where to linearise.
        batches : sequence of Batch, optional
            A subsample for the Hessian; all batches by default. Every state of it is kept in memory.

        Returns
        -------
        callable
            From vector to vector.
        """
        chosen = self.batches if batches is None else batches
        propagation, examples = self.propagation(controls).prepared, _count(chosen)
        points = list(self.backend.map(lambda batch: self._linearized(propagation, batch), chosen))

        def product(vector: Array) -> Array:
            direction = controls.unflat(self.xp, vector)
            along, total = self.propagation(direction).prepared, self.penalty_product(direction)
            for part in self.backend.map(lambda point: self._curvature(point[0], point[1], along), points):
                total = total + part / examples
            return total

        return product

    def _linearized(self, propagation: Propagation, batch: Batch) -> tuple[Trajectory, Array]:
        Y, trajectory = propagation.linearize(batch.x)
        return trajectory, softmax(self.xp, self._logits(Y))

    def _curvature(self, trajectory: Trajectory, probabilities: Array, along: Propagation) -> Array:
        """Return ``J^T H J`` times a direction, for one batch."""
        xp = self.xp
        matrix = xp.reshape(self.classifier.W, (-1, self.classifier.W.shape[-1]))
        dY = xp.reshape(trajectory.tangent(along), (matrix.shape[0], -1))
        logits = self.volume * (xp.matrix_transpose(matrix) @ dY)
        curved = cross_entropy_hessian(xp, probabilities, logits)
        return trajectory.adjoint(self.classifier.logits_adjoint(xp, self.volume, curved)).flat(xp)

    def penalty_product(self, controls: Controls) -> Array:
        """Return the regularisers' matrix times the controls, as a vector."""
        return self.regularization.of_controls(self.xp, controls, self.architecture.dt).flat(self.xp)

    def _penalty(self, controls: Controls) -> float:
        return 0.5 * float(self.xp.sum(controls.flat(self.xp) * self.penalty_product(controls)))

    def _logits(self, Y: Array) -> Array:
        return self.classifier.logits(self.xp, self.volume, Y)

    def _loss(self, batch: Batch, Y: Array) -> float:
        return cross_entropy(self.xp, self._logits(Y), batch.targets)


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
    """

    def __init__(
        self,
        architecture: Architecture,
        batches: Sequence[Batch],
        regularization: Regularization,
        backend: Backend,
    ) -> None:
        self.grid, self.batches, self.backend, self.xp = architecture.grid, batches, backend, backend.xp
        self.regularization, self.volume = regularization, architecture.grid.cell_volume

    def value(self, classifier: Classifier) -> float:
        """Return the objective."""
        xp, volume = self.xp, self.volume
        losses = self.backend.map(
            lambda batch: cross_entropy(xp, classifier.logits(xp, volume, batch.x), batch.targets),
            self.batches,
        )
        return sum(losses) / _count(self.batches) + self._penalty(classifier)

    def derivatives(self, classifier: Classifier) -> tuple[float, Array, Product]:
        """Return the objective, its gradient as a vector, and the product with its Hessian."""
        xp, examples = self.xp, _count(self.batches)

        def terms(batch: Batch) -> tuple[float, Array, Array]:
            logits = classifier.logits(xp, self.volume, batch.x)
            probabilities = softmax(xp, logits)
            residual = cross_entropy_gradient(probabilities, batch.targets) / examples
            gradient = classifier.weight_gradient(xp, self.volume, batch.x, residual).flat(xp)
            return cross_entropy(xp, logits, batch.targets), gradient, probabilities

        loss, total, points = 0.0, self._penalty_product(classifier), []
        for part, gradient, probabilities in self.backend.map(terms, self.batches):
            loss, total = loss + part, total + gradient
            points.append(probabilities)

        def product(vector: Array) -> Array:
            return self._hessian_product(classifier.unflat(xp, vector), points)

        return loss / examples + self._penalty(classifier), total, product

    def _hessian_product(self, direction: Classifier, points: list[Array]) -> Array:
        xp, examples = self.xp, _count(self.batches)

        def term(pair: tuple[Batch, Array]) -> Array:
            batch, probabilities = pair
            logits = direction.logits(xp, self.volume, batch.x)
            curved = cross_entropy_hessian(xp, probabilities, logits) / examples
            return direction.weight_gradient(xp, self.volume, batch.x, curved).flat(xp)

        total = self._penalty_product(direction)
        for part in self.backend.map(term, zip(self.batches, points, strict=True)):
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


def _count(batches: Sequence[Batch]) -> int:
    return sum(batch.size for batch in batches)
