"""A ResNet with its parameters, and what it gives for some images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from refmg.losses import as_targets
from refmg.resnet.architecture import ResNetArchitecture
from refmg.resnet.batch_part import part_of_batch
from refmg.resnet.blocks import each
from refmg.resnet.passes import EvaluationRun, Training
from refmg.resnet.steps import STORAGES
from refmg.transfer import Shape
from refmg_backends import Backend, RefmgError, get_backend, one_of
from refmg_backends.backend import Array

Arrays = dict[str, Array]
PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class ResNetPass:
    """What one pass in training mode gives.

    Attributes
    ----------
    loss : array, shape ()
        Mean cross-entropy over the examples; on the device, so that nobody waits for it.
    hits : array of int, shape ()
        Of how many examples the largest logit is that of their class.
    logits : array, shape (classes, m)
        Of images that ranks share, those of this rank's part (in fixed blocks, those of the first one where
        it has none).
    gradient : dict of str to array
        Of the mean loss, by the names of the parameters.
    statistics : dict of str to array
        The running statistics after it.
    """

    loss: Array
    hits: Array
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

    Examples
    --------
    >>> a = ResNetArchitecture((8, 8), blocks=(1, 1), widths=(4, 8), opening_stride=1, opening_pool="none")
    >>> net, images = random_resnet(a, 0, backend="numpy"), np.ones((3, 8, 8, 2), "float32")
    >>> found = net.loss_and_gradient(images, np.array([0, 1]))
    >>> found.gradient["layer2.0.downsample.0.weight"].shape, net.logits(images).shape
    ((8, 4, 1, 1), (10, 2))
    """

    architecture: ResNetArchitecture
    parameters: Arrays
    statistics: Arrays
    backend: Backend

    def __post_init__(self) -> None:
        """Refuse numbers that do not fit the architecture."""
        a = self.architecture
        check_shapes("parameters", self.parameters, a.parameter_shapes)
        check_shapes("statistics", self.statistics, a.statistic_shapes)

    def with_arrays(self, parameters: Arrays | None = None, statistics: Arrays | None = None) -> ResNet:
        """Return the network with other parameters, other statistics or both."""
        return replace(
            self, parameters=parameters or self.parameters, statistics=statistics or self.statistics
        )

    def on(self, shape: Shape) -> ResNet:
        """Return the network with the same numbers on another grid: every stencil unchanged."""
        return replace(self, architecture=self.architecture.on(shape))

    @cached_property
    def dtype(self) -> str:
        """Precision of the parameters, ``"float32"`` or ``"float64"``."""
        found, xp = self.parameters["fc.bias"].dtype, self.backend.xp
        return next((name for name in PRECISIONS if found == getattr(xp, name)), str(found))

    def flat(self, Y: Array) -> Array:
        """Return images of the backend as ``(in_channels, cells, m)``.

        Raises
        ------
        RefmgError
            If they do not fit the architecture.
        """
        a, m = self.architecture, Y.shape[-1]
        if tuple(Y.shape) != (a.in_channels, *a.shape, m) or not m:
            expected = ", ".join(map(str, (a.in_channels, *a.shape)))
            raise RefmgError(
                f"found images of shape {tuple(Y.shape)}; expected ({expected}, examples): channels first, "
                "examples last, one at least"
            )

        def flattened(X: Array) -> Array:
            return self.backend.xp.reshape(X, (a.in_channels, a.shape[0] * a.shape[1], X.shape[-1]))

        return each(flattened, Y)

    def targets(self, labels: Any, examples: int) -> Array:
        """Return one-hot labels on the device; whole numbers on the host are moved there.

        Raises
        ------
        RefmgError
            If they are no labels of these classes, or not as many as examples.
        """
        host = isinstance(labels, list | tuple | np.ndarray)
        classes = self.architecture.classes
        found = self.backend.asarray(as_targets(labels, classes), dtype=self.dtype) if host else labels
        if tuple(found.shape) != (classes, examples):
            shape = np.shape(labels) if host else tuple(found.shape)
            raise RefmgError(
                f"found labels of shape {shape} for {examples} examples of {classes} classes; expected "
                "(examples,) on the host, or one-hot labels (classes, examples)"
            )
        return found

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
        return EvaluationRun(self).logits(self.flat(Y))

    def loss_and_gradient(
        self, Y: Array, labels: Any, momentum: float = 0.1, storage: str = "full"
    ) -> ResNetPass:
        """Return loss, gradient and running statistics of one pass in training mode.

        Parameters
        ----------
        Y : array or SharedExamples, shape (in_channels, n_1, n_2, m)
            Images, of the backend and in the network's precision. Of shared ones every rank runs its own
            part (of fewer than ranks, all); batch norms take moments of the whole batch, and what is
            returned is that of one process: up to rounding, or to the last bit where their share is
            deterministic, which takes its part of the batch in fixed blocks.
        labels : ndarray of int, shape (m,), or array of the backend, shape (classes, m)
            Classes, or one-hot targets that are on the device already.
        momentum : float
            Weight of the batch's statistics in the running ones, PyTorch's convention.
        storage : {"full", "half"}
            ``"half"`` rounds to float16 what is kept for the way back; products stay in the network's
            precision. Loss and statistics are the same to the last bit, the gradient is not.

        Raises
        ------
        RefmgError
            If images or labels do not fit, the backend has no float16, or the momentum is not from 0 to 1.
        """
        if storage not in STORAGES:
            raise RefmgError(one_of("storage", storage, STORAGES))
        if not 0 <= momentum <= 1:
            raise RefmgError(f"found momentum = {momentum} of the statistics; expected 0 to 1")
        part = part_of_batch(self.backend, Y, self.dtype)
        flat, training = self.flat(part.images), Training(self, momentum, storage == "half", part.sums)
        targets = part.of(self.targets(labels, part.sums.examples))
        loss, hits, logits = training(flat, targets)
        return ResNetPass(loss, hits, logits, training.run.gradient, training.run.statistics)

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return parameters and statistics on the host, by name, to be saved."""
        return {k: self.backend.to_numpy(v) for k, v in (self.parameters | self.statistics).items()}


def check_shapes(what: str, arrays: Mapping[str, Any], shapes: Mapping[str, Shape]) -> None:
    """Refuse arrays whose names or shapes are not those that an architecture has.

    Raises
    ------
    RefmgError
        With the first name that does not fit.
    """
    for name in sorted({*arrays, *shapes}, key=lambda name: (name in shapes, name in arrays)):
        if name not in shapes:
            raise RefmgError(f"found {name!r} among the {what}; the architecture has no such name")
        if name not in arrays:
            raise RefmgError(f"found no {name!r} among the {what}; expected shape {shapes[name]}")
        if tuple(arrays[name].shape) != shapes[name]:
            raise RefmgError(f"found {name!r} of shape {tuple(arrays[name].shape)}; expected {shapes[name]}")


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

    Raises
    ------
    RefmgError
        For another type.

    Notes
    -----
    Stencils are normal with variance ``2 / (C_out k_1 k_2)`` (He et al., 2015), the classifier is uniform
    within ``1 / sqrt(C)``; batch norms begin as the identity of normalised features.

    Examples
    --------
    >>> net = random_resnet(ResNetArchitecture((32, 32)).scaled(1 / 16, 1 / 4), 0, backend="numpy")
    >>> net.dtype, net.parameters["conv1.weight"].shape
    ('float32', (4, 3, 3, 3))
    """
    generator = np.random.default_rng(rng)
    arrays: dict[str, np.ndarray] = {}
    for name, shape in architecture.parameter_shapes.items():
        if len(shape) == 4:
            deviation = (2 / (shape[0] * shape[2] * shape[3])) ** 0.5
            arrays[name] = deviation * generator.standard_normal(shape)
        elif name.startswith("fc."):
            bound = architecture.widths[-1] ** -0.5
            arrays[name] = generator.uniform(-bound, bound, shape)
        else:
            arrays[name] = np.full(shape, float(name.endswith("weight")))
    for name, shape in architecture.statistic_shapes.items():
        arrays[name] = np.full(shape, float(name.endswith("var")))
    return resnet_from_arrays(architecture, arrays, backend, dtype)


def resnet_from_arrays(
    architecture: ResNetArchitecture,
    arrays: Mapping[str, np.ndarray],
    backend: Backend | str | None = None,
    dtype: str | None = None,
) -> ResNet:
    """Return the network that :meth:`ResNet.as_arrays` saved.

    Parameters
    ----------
    architecture : ResNetArchitecture
    arrays : mapping of str to ndarray
        Parameters and statistics.
    backend : Backend or str, optional
        ``REFMG_BACKEND``, else NumPy.
    dtype : {"float32", "float64"}, optional
        That of the arrays by default.

    Raises
    ------
    RefmgError
        If a name is missing or unknown, or a shape or a type does not fit.
    """
    place = get_backend(backend) if backend is None or isinstance(backend, str) else backend
    check_shapes("arrays", arrays, architecture.parameter_shapes | architecture.statistic_shapes)
    kind = dtype or str(np.asarray(arrays["fc.bias"]).dtype)
    if kind not in PRECISIONS:
        raise RefmgError(one_of("dtype", kind, PRECISIONS))

    def moved(names: Mapping[str, Shape]) -> Arrays:
        return {name: place.asarray(np.ascontiguousarray(arrays[name], dtype=kind)) for name in names}

    return ResNet(
        architecture, moved(architecture.parameter_shapes), moved(architecture.statistic_shapes), place
    )
