"""A ResNet with its parameters, and what it gives for some images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from refmg.resnet.architecture import ResNetArchitecture
from refmg_backends import Backend, RefmgError, get_backend
from refmg_backends.backend import Array

Arrays = dict[str, Array]


@dataclass(frozen=True)
class ResNetPass:
    """What one pass in training mode gives.

    Attributes
    ----------
    loss : array, shape ()
        Mean cross-entropy over the examples; on the device, so that nobody waits for it.
    logits : array, shape (classes, m)
    gradient : dict of str to array
        Of the mean loss, by the names of the parameters.
    statistics : dict of str to array
        The running statistics after it.
    """

    loss: Array
    logits: Array
    gradient: Arrays
    statistics: Arrays


@dataclass(frozen=True)
class ResNet:
    """A ResNet; immutable.

    Parameters
    ----------
    architecture : ResNetArchitecture
    parameters : dict of str to array
        By PyTorch's names and in its layout, stencils ``(C_out, C_in, k_1, k_2)``: see
        ``architecture.parameter_shapes``.
    statistics : dict of str to array
        Running means and (unbiased) variances: see ``architecture.statistic_shapes``.
    backend : Backend
        Where the arrays live.

    Raises
    ------
    RefmgError
        If a name is missing or unknown, or a shape does not fit.
    """

    architecture: ResNetArchitecture
    parameters: Arrays
    statistics: Arrays
    backend: Backend

    def with_arrays(self, parameters: Arrays | None = None, statistics: Arrays | None = None) -> ResNet:
        """Return the network with other parameters, other statistics or both."""
        return replace(
            self, parameters=parameters or self.parameters, statistics=statistics or self.statistics
        )

    def on(self, shape: tuple[int, ...]) -> ResNet:
        """Return the network with the same numbers on another grid: every stencil unchanged."""
        return replace(self, architecture=self.architecture.on(shape))

    @cached_property
    def dtype(self) -> str:
        """Precision of the parameters, ``"float32"`` or ``"float64"``."""
        raise NotImplementedError

    def logits(self, Y: Array) -> Array:
        """Return the logits of images in evaluation mode, by the running statistics.

        Parameters
        ----------
        Y : array, shape (in_channels, n_1, n_2, m)
            Of the backend and in the network's precision.

        Returns
        -------
        array, shape (classes, m)

        Raises
        ------
        RefmgError
            If the images do not fit the architecture.
        """
        raise NotImplementedError

    def loss_and_gradient(
        self, Y: Array, labels: Any, momentum: float = 0.1, storage: str = "full"
    ) -> ResNetPass:
        """Return loss, gradient and running statistics of one pass in training mode.

        Parameters
        ----------
        Y : array, shape (in_channels, n_1, n_2, m)
            Images, of the backend and in the network's precision.
        labels : ndarray of int, shape (m,), or array of the backend, shape (classes, m)
            Classes, or one-hot targets that are on the device already.
        momentum : float
            Weight of the batch's statistics in the running ones, PyTorch's convention.
        storage : {"full", "half"}
            ``"half"`` rounds to float16 what is kept for the way back; products stay in the network's
            precision.

        Raises
        ------
        RefmgError
            If images or labels do not fit, or the backend has no float16.
        """
        raise NotImplementedError

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return parameters and statistics on the host, by name, to be saved."""
        return {k: self.backend.to_numpy(v) for k, v in (self.parameters | self.statistics).items()}


def random_resnet(
    architecture: ResNetArchitecture,
    rng: int | np.random.Generator,
    dtype: str = "float32",
    backend: Backend | str | None = None,
) -> ResNet:
    """Return a network with random stencils, as PyTorch's own ResNet begins.

    Parameters
    ----------
    architecture : ResNetArchitecture
    rng : int or numpy.random.Generator
        Source of randomness; the same numbers on every backend.
    dtype : {"float32", "float64"}
    backend : Backend or str, optional
        ``REFMG_BACKEND``, else NumPy.
    """
    raise NotImplementedError


def resnet_from_arrays(
    architecture: ResNetArchitecture, arrays: Mapping[str, np.ndarray], backend: Backend | str | None = None
) -> ResNet:
    """Return the network that :meth:`ResNet.as_arrays` saved, or that a PyTorch state dict holds."""
    raise NotImplementedError
