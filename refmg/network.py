"""A network: architecture, controls and classifier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from refmg.architecture import Architecture
from refmg.classifier import Classifier, zero_classifier
from refmg.controls import Controls, random_controls
from refmg.distributed.shared_examples import share_of
from refmg.propagation import Propagation
from refmg.readout import Readout
from refmg_backends import Backend, RefmgError, default_dtype, get_backend
from refmg_backends.backend import Array


@dataclass(frozen=True)
class Network:
    """A network with its parameters; immutable.

    Parameters
    ----------
    architecture : Architecture
        Sizes and constants.
    controls : Controls
        Opening, stencils and biases.
    classifier : Classifier
        Weights and biases of the classes.
    backend : Backend
        Where the arrays live.

    Examples
    --------
    >>> network = random_network(Architecture((4, 4), channels=2, classes=3), seed=0)
    >>> network.predict(np.zeros((1, 4, 4, 5))).shape
    (5,)
    """

    architecture: Architecture
    controls: Controls
    classifier: Classifier
    backend: Backend

    def __post_init__(self) -> None:
        """Refuse parameters that do not fit the architecture."""
        a, c = self.architecture, self.controls
        M = a.control_grid.nodes
        expected = {
            "opening": (c.opening, a.opening_shape),
            "stencils": (c.stencils, (M, *a.stencil_shape)),
            "biases": (c.biases, (M, a.channels)),
            "W": (self.classifier.W, a.classifier_shape),
            "mu": (self.classifier.mu, (a.classes,)),
        }
        for name, (array, shape) in expected.items():
            if tuple(array.shape) != shape:
                raise RefmgError(f"found {name} of shape {tuple(array.shape)}; expected {shape} for {a}")

    @cached_property
    def dtype(self) -> str:
        """Precision of the parameters."""
        # By comparison, since libraries spell their types in ways of their own: nothing moves to the host.
        found, xp = self.classifier.mu.dtype, self.backend.xp
        known = ("float64", "float32", "complex128", "complex64")
        names = [name for name in known if found == getattr(xp, name, None)]
        return names[0] if names else str(self.backend.to_numpy(self.classifier.mu).dtype)

    @cached_property
    def propagation(self) -> Propagation:
        """The map from images to final features."""
        return Propagation(self.architecture, self.controls, self.backend)

    @cached_property
    def readout(self) -> Readout:
        """The map from final features to logits."""
        return Readout.of(self.classifier, self.backend, self.architecture.grid.cell_volume)

    def with_controls(self, controls: Controls) -> Network:
        """Return the network with other controls."""
        return replace(self, controls=controls)

    def with_classifier(self, classifier: Classifier) -> Network:
        """Return the network with another classifier."""
        return replace(self, classifier=classifier)

    def logits(self, x: Array) -> Array:
        """Return the logits of images `x` of shape ``(C_in, n_1, .., n_d, m)``; shape ``(classes, m)``."""
        return self.propagation.logits(self.readout, x)

    def predict(self, x: Array, batch_size: int = 128) -> np.ndarray:
        """Return the most likely class of each image.

        Parameters
        ----------
        x : array, shape (C_in, n_1, .., n_d, m)
            Images, examples last; on the host or of the backend.
        batch_size : int
            Examples at a time; changes memory, not the result.

        Returns
        -------
        ndarray of int, shape (m,)

        Raises
        ------
        RefmgError
            If the images do not fit the architecture.
        """
        found = []
        for start in range(0, x.shape[-1], batch_size):
            batch = self.backend.asarray(x[..., start : start + batch_size], dtype=self.dtype)
            found.append(np.argmax(self.backend.to_numpy(self.logits(batch)), axis=0))
        return np.concatenate(found) if found else np.zeros(0, dtype=np.intp)

    def accuracy(self, x: Array, labels: np.ndarray, batch_size: int = 128) -> float:
        """Return the fraction of images whose most likely class is their label.

        Parameters
        ----------
        x : array or SharedExamples, shape (C_in, n_1, .., n_d, m)
            Images, examples last; of shared ones each rank looks at its own.
        labels : ndarray of int, shape (m,)
            Of all images.
        batch_size : int
            Examples at a time.
        """
        share = share_of(x)
        if share is not None:
            division = share.division(len(labels), batch_size, self.backend)
            found = self.predict(x.own(division), share.batch(division, batch_size))
            hits = np.sum(found == labels[share.part(division)])
            return float(share.communicator.sum(np.asarray(hits, dtype=np.int64))) / len(labels)
        return float(np.mean(self.predict(x, batch_size) == labels))


def random_network(
    architecture: Architecture,
    seed: int | np.random.Generator,
    backend: Backend | str | None = None,
    dtype: str | None = None,
) -> Network:
    """Return a network with random stencils, zero biases and a zero classifier.

    Parameters
    ----------
    architecture : Architecture
        Sizes and constants.
    seed : int or numpy.random.Generator
        Source of randomness.
    backend : Backend or str, optional
        ``REFMG_BACKEND``, else NumPy.
    dtype : {"float32", "float64"}, optional
        ``REFMG_DTYPE``, else float64.

    Returns
    -------
    Network
    """
    place = get_backend(backend) if backend is None or isinstance(backend, str) else backend
    precision = default_dtype(dtype)
    controls = random_controls(architecture, np.random.default_rng(seed), place, precision)
    return Network(architecture, controls, zero_classifier(architecture, place, precision), place)
