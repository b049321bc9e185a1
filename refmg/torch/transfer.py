"""A trained PyTorch model moved to another resolution, without labels and without training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from time import perf_counter
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from refmg.calibration.few_images import FitSize, warn_of_few_images
from refmg.model_transfer import DIRECTIONS, ResolutionChange
from refmg.stencil import per_axis
from refmg.stencil_maps import SPECTRUM, stencil_transfer_names
from refmg.torch.adapt import CALIBRATED, Adaptation
from refmg.torch.images import Batches, batches_for
from refmg.torch.options import TransferOptions
from refmg.torch.report import LayerRecord, ModelReport
from refmg.torch.side_by_side import SideBySide
from refmg.torch.sums import SharedImages
from refmg.torch.tracing import TRACED, Step, trace
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of


def model_transfer_names() -> list[str]:
    """Return the names that :func:`transfer_model` knows.

    Examples
    --------
    >>> model_transfer_names()[:3]
    ['average', 'calibrated', 'full-weighting']
    """
    return sorted([*stencil_transfer_names(), CALIBRATED])


def transfer_model(
    model: nn.Module,
    images: Tensor | Iterable[Any] | SharedImages,
    factor: int | Shape = 2,
    direction: str = "coarse",
    transfer: str = CALIBRATED,
    options: TransferOptions | None = None,
) -> tuple[nn.Module, ModelReport]:
    r"""Return a copy of a trained model for images `factor` times coarser or finer.

    Parameters
    ----------
    model : Module
        A convolutional network for images of any grid (pooling before its linear layers). It is not
        changed.
    images : Tensor, shape (m, C, n_1, .., n_d), iterable of batches, or SharedImages
        Some hundred images, prepared as the model wants them, **on the finer of the two grids**,
        whichever way the model goes: the coarse ones are their means over blocks. No labels. An
        iterable, such as a ``DataLoader`` that does not shuffle, is gone through once a layer. With shared
        images every rank calls this, and gets the same model.
    factor : int or tuple of int
        Between the two grids, one for all axes or one each.
    direction : {"coarse", "fine"}
        Where the new model shall work.
    transfer : str
        ``"calibrated"``, or a map of single stencils (:func:`refmg.stencil_transfer_names`), of which
        ``"unchanged"``, with batch-norm statistics re-estimated, is the baseline that any other has to
        beat.
    options : TransferOptions, optional
        Batch norm, classifier, ridge.

    Returns
    -------
    Module
        In evaluation mode.
    ModelReport
        Layer by layer; ``print`` it.

    Warns
    -----
    FewImagesWarning
        If most convolutions have fewer equations than unknowns, or there is one image alone.

    Raises
    ------
    RefmgError
        For an unknown name, a factor of 1 on all axes, images that the factor does not divide or that the
        model does not run on, a model without convolutions or with weights shared between layers.
    ClosureError
        If a stencil cannot be moved by the transfer; the message names the layer.

    Notes
    -----
    ``"calibrated"`` runs both models side by side. For each convolution in the order of execution, 1 x 1
    and strided ones too, it solves

    .. math:: \min_s \; \sum \| Q K(s)\, y - Q' z \|^2 + \lambda \| s - s_0 \|^2,

    where y are the features that reach the layer in the *new* model, so that errors of earlier layers
    are compensated, z is the response of the *old* one, and Q, Q' average to the coarser of both grids (over
    blocks where sizes divide, else by adaptive average pooling). The normal equations, of size
    :math:`k^d C_{in}` a group, are summed over batches in float64. Batch norms are re-estimated
    as soon as their convolution is new; last, the classifier by ridge regression of the old model's
    outputs. A convolution without bias gets an intercept only if its output goes into batch norm, which then
    absorbs it, and nowhere else. Layers without a rule are kept, and listed with the reason.
    Layers after another need their own pass: time grows with the square of their number.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> convolution = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", dtype=torch.float64)
    >>> images = torch.randn(20, 1, 8, 8, dtype=torch.float64)
    >>> coarse, report = transfer_model(nn.Sequential(convolution), images)
    >>> print(report.layers[0].name, report.layers[0].action, report.layers[0].kind)
    0 calibrated Conv2d 3 x 3
    """
    begin, options = perf_counter(), options or TransferOptions()
    _check_names(direction, transfer)
    batches = batches_for(model, images, options.batch_size)
    factors = _changing(per_axis("factor", factor, batches.first().ndim - 2))
    models = SideBySide(deepcopy(model).eval(), deepcopy(model).eval(), batches, factors, direction)
    steps = _steps(models)
    classifier = _classifier(steps, options)
    adapt = Adaptation(models, _change(models, transfer, options), transfer, options, classifier)
    layers = (*(adapt(step) for step in steps), *adapt.unreached(steps))
    examples = sum(len(batch) for batch in batches)
    if transfer == CALIBRATED:
        _warn_of_few(layers, classifier, batches, examples)
    report = ModelReport(layers, transfer, direction, factors, examples, perf_counter() - begin)
    return models.target, report


def _warn_of_few(
    layers: Iterable[LayerRecord], classifier: Step | None, batches: Batches, examples: int
) -> None:
    """Warn the caller of transfer_model where images are too few, once for all ranks."""
    if batches.sums is not None:
        communicator = batches.sums.share.communicator
        examples = sum(communicator.gather(examples))
        if communicator.rank > 0:
            return
    last = None if classifier is None else classifier.name
    fits = [
        FitSize(layer.name, layer.equations, layer.unknowns)
        for layer in layers
        if layer.equations is not None and layer.unknowns is not None and layer.name != last
    ]
    warn_of_few_images(examples, fits, last is not None, stacklevel=3)


def _check_names(direction: str, transfer: str) -> None:
    if direction not in DIRECTIONS:
        raise RefmgError(one_of("direction", direction, DIRECTIONS))
    if transfer not in model_transfer_names():
        raise RefmgError(one_of("transfer", transfer, model_transfer_names()))


def _changing(factors: Shape) -> Shape:
    if set(factors) == {1}:
        raise RefmgError(f"found factor {factors}, which changes no axis; expected 2 or more for one of them")
    return factors


def _steps(models: SideBySide) -> list[Step]:
    """Return the layers of the new model, having seen that both models run."""
    for_source, for_target = models.pair(models.images.first())
    if not any(isinstance(module, _ConvNd) for module in models.target.modules()):
        raise RefmgError("found no convolution in the model; expected a convolutional network")
    trace(models.source, for_source)
    steps = trace(models.target, for_target)
    owners = dict[int, str]()
    for step in steps:
        if not isinstance(step.module, TRACED):
            continue  # kept as it is
        for parameter in step.module.parameters(recurse=False):
            first = owners.setdefault(id(parameter), step.name)
            if first != step.name:
                raise RefmgError(
                    f"found parameters that {first} and {step.name} share; expected each layer to have its "
                    "own: clone them, or call one module twice"
                )
    return steps


def _change(models: SideBySide, transfer: str, options: TransferOptions) -> ResolutionChange:
    name = options.prior if transfer == CALIBRATED else transfer
    images = _arrays(models.images) if name == SPECTRUM else None
    if images is not None and models.images.sums is not None:
        raise RefmgError(f"found shared images for {SPECTRUM!r}; expected all of them, on every rank")
    return ResolutionChange(models.factor, models.direction, name, options.closure, images)


def _arrays(batches: Batches) -> Iterator[np.ndarray]:
    """Yield the images in refmg's layout, ``(C, n_1, .., n_d, examples)``."""
    for batch in batches:
        yield np.moveaxis(batch.double().cpu().numpy(), 0, -1)


def _classifier(steps: list[Step], options: TransferOptions) -> Step | None:
    found = [step for step in steps if isinstance(step.module, nn.Linear) and step.vectors]
    return found[-1] if found and options.classifier else None
