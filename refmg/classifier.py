r"""The classifier :math:`g(h^d W^T y + \mu)` with softmax and cross-entropy (paper, equation 5)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from types import ModuleType

import numpy as np

from refmg.architecture import Architecture
from refmg.readout import Readout
from refmg_backends import Backend
from refmg_backends.backend import Array


@dataclass(frozen=True)
class Classifier:
    r"""Weights and biases of the classes; logits are :math:`h^d W^T y + \mu`.

    The cell volume makes :math:`W` a function sampled on the grid: moved to another resolution as a
    function, it gives a constant image the same logits.

    Parameters
    ----------
    W : array, shape (C, n_1, .., n_d, classes)
        Weights.
    mu : array, shape (classes,)
        Biases.
    """

    W: Array
    mu: Array

    def flat(self, xp: ModuleType) -> Array:
        """Return all numbers as one vector, weights first."""
        return xp.concat([xp.reshape(self.W, (-1,)), self.mu])

    def unflat(self, xp: ModuleType, vector: Array) -> Classifier:
        """Return the classifier of these shapes that `vector` lists."""
        size = prod(self.W.shape)
        return Classifier(xp.reshape(vector[:size], self.W.shape), vector[size:])

    def logits(self, backend: Backend, cell_volume: float, Y: Array) -> Array:
        """Return the logits.

        Parameters
        ----------
        backend : Backend
            Where the arrays live.
        cell_volume : float
            ``h^d``.
        Y : array, shape (C, n_1, .., n_d, m)
            Features.

        Returns
        -------
        array, shape (classes, m)

        Examples
        --------
        >>> from refmg_backends import get_backend
        >>> place, constant = get_backend("numpy"), lambda n: Classifier(np.ones((1, n, 1)), np.zeros(1))
        >>> [constant(n).logits(place, 1 / n, np.ones((1, n, 1))).tolist() for n in (4, 8)]
        [[[1.0]], [[1.0]]]
        """
        return Readout.of(self, backend, cell_volume).logits(Y)

    def logits_adjoint(self, backend: Backend, cell_volume: float, G: Array) -> Array:
        """Return ``h^d W G``, the adjoint in the features; shape ``(C, n_1, .., n_d, m)``."""
        return Readout.of(self, backend, cell_volume).adjoint(G, (*self.W.shape[:-1], G.shape[1]))

    def weight_gradient(self, backend: Backend, cell_volume: float, Y: Array, G: Array) -> Classifier:
        """Return the adjoint in weights and biases, for `G` of shape ``(classes, m)``."""
        xp = backend.xp
        rows = self.W.shape[:-1]
        gradient = cell_volume * backend.weight_gradient(xp.reshape(Y, (prod(rows), G.shape[1])), G)
        return Classifier(xp.reshape(gradient, self.W.shape), xp.sum(G, axis=1))


def zero_classifier(architecture: Architecture, backend: Backend, dtype: str) -> Classifier:
    """Return the classifier that finds every class equally likely."""
    W = backend.asarray(np.zeros(architecture.classifier_shape), dtype=dtype)
    return Classifier(W, backend.asarray(np.zeros(architecture.classes), dtype=dtype))
