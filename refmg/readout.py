"""A classifier that is held fixed: what the propagation's features become, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refmg_backends import Backend
from refmg_backends.backend import Array

if TYPE_CHECKING:
    from refmg.classifier import Classifier


@dataclass(frozen=True)
class Readout:
    """Logits ``h^d W^T y + mu`` of features, their derivative and its adjoint.

    Attributes
    ----------
    backend : Backend
        Where the arrays live.
    matrix : array, shape (C n_1 .. n_d, classes)
        W.
    mu : array, shape (classes,)
        Biases.
    cell_volume : float
        ``h^d``.
    """

    backend: Backend
    matrix: Array
    mu: Array
    cell_volume: float

    @classmethod
    def of(cls, classifier: Classifier, backend: Backend, cell_volume: float) -> Readout:
        """Return what a classifier does."""
        matrix = backend.xp.reshape(classifier.W, (-1, classifier.W.shape[-1]))
        return cls(backend, matrix, classifier.mu, cell_volume)

    def logits(self, Y: Array) -> Array:
        """Return the logits ``(classes, m)`` of features ``(C, n_1, .., n_d, m)``."""
        return self.from_products(self._products(Y))

    def tangent(self, dY: Array) -> Array:
        """Return their derivative along a direction of the features."""
        return self.cell_volume * self._products(dY)

    def adjoint(self, G: Array, shape: tuple[int, ...]) -> Array:
        """Return the adjoint in features of a shape, ``h^d W G``."""
        products = self.backend.logits_adjoint(self.matrix, self.cell_volume * G)
        return self.backend.xp.reshape(products, shape)

    def from_products(self, products: Array) -> Array:
        """Return the logits where the products ``W^T y`` are known."""
        return self.cell_volume * products + self.mu[:, None]

    def _products(self, Y: Array) -> Array:
        return self.backend.logits(
            self.matrix, self.backend.xp.reshape(Y, (self.matrix.shape[0], Y.shape[-1]))
        )
