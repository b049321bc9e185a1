"""Batch-norm statistics of images of another resolution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from refmg.torch.images import batches_for
from refmg.torch.sums import SharedImages, Tensors, TensorSums, over_ranks
from refmg.torch.tracing import Step, seen, trace


def reestimate_batch_norm(
    model: nn.Module, images: Tensor | Iterable[Any] | SharedImages, batch_size: int = 64
) -> list[str]:
    """Give every batch norm the statistics of these images, in place; nothing else changes.

    Parameters
    ----------
    model : Module
        Any; it stays in the mode, training or evaluation, in which it was.
    images : Tensor, shape (m, C, n_1, .., n_d), iterable of batches, or SharedImages
        Without labels; an iterable is gone through more than once. With shared images every rank calls this,
        and gets the statistics of all.
    batch_size : int
        Examples at a time; changes memory and time, and the result by rounding only.

    Returns
    -------
    list of str
        Names of the batch norms, in the order in which they are called.

    Raises
    ------
    RefmgError
        If the model does not run on the images, or they are not finite.

    Notes
    -----
    The running mean and the (unbiased) running variance become those of one forward pass in training
    mode with all images in a single batch. A running average over small batches differs from that:
    later layers would see features normalised by each batch's own statistics. So layers are taken one
    after the other, each by its own pass that ends there: as many passes as there are batch norms. One
    that is called several times gets the statistics of all calls together.

    Examples
    --------
    >>> model = nn.Sequential(nn.BatchNorm1d(1))
    >>> reestimate_batch_norm(model, torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]]]))
    ['0']
    >>> model[0].running_mean.item(), round(model[0].running_var.item(), 4)
    (4.0, 6.6667)
    """
    batches, training = batches_for(model, images, batch_size), [m.training for m in model.modules()]
    try:
        model.eval()
        steps = [step for step in trace(model, batches.first()) if has_statistics(step.module)]
        make_unbiased([set_statistics(model, step, batches, batches.sums) for step in steps])
    finally:
        for module, mode in zip(model.modules(), training, strict=True):
            module.training = mode
    return [step.name for step in steps]


def has_statistics(module: nn.Module) -> bool:
    """Whether a module is a batch norm that uses running statistics."""
    return isinstance(module, _BatchNorm) and module.running_mean is not None


@dataclass(frozen=True)
class Estimate:
    """A batch norm whose running variance is the biased one, and from how many numbers it comes."""

    module: nn.Module
    count: int


def set_statistics(
    model: nn.Module, step: Step, images: Iterable[Tensor], sums: TensorSums | None = None
) -> Estimate:
    """Give one batch norm the mean and the biased variance of what goes into it.

    Training normalises by the biased variance and stores the unbiased one, so the biased one has to stay
    until all later statistics are known; then see :func:`make_unbiased`.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    step : Step
        The batch norm.
    images : iterable of Tensor
    sums : TensorSums, optional
        Where the images are those of one rank.

    Returns
    -------
    Estimate
    """
    terms, centre = list[Tensors](), None
    for batch in images:
        of_batch = list[Tensors]()
        for x in seen(model, step, batch, inputs=True):
            rows = x.transpose(0, 1).flatten(1).double()
            if centre is None:
                # About the first batch's mean: a variance far below the mean's square keeps its digits.
                centre = rows.mean(1) if sums is None else sums.first(rows.mean(1))
            rows = rows - centre[:, None]
            numbers = torch.tensor(float(rows.shape[1]), dtype=torch.float64)
            of_batch.append((numbers, rows.sum(1), rows.square().sum(1)))
        # A block of the sums over ranks is a batch, however often the layer was called.
        terms += of_batch if sums is None else [over_ranks(of_batch, None)]
    numbers, total, squares = over_ranks(terms, sums)
    count = int(numbers)
    mean, variance = centre + total / count, squares / count - (total / count) ** 2
    with torch.no_grad():
        step.module.running_mean.copy_(mean)  # type: ignore[operator,union-attr]
        step.module.running_var.copy_(variance.clamp_min(0))  # type: ignore[operator,union-attr]
    return Estimate(step.module, count)


def make_unbiased(estimates: Iterable[Estimate]) -> None:
    """Turn biased running variances into unbiased ones."""
    for estimate in estimates:
        with torch.no_grad():
            factor = estimate.count / max(estimate.count - 1, 1)
            estimate.module.running_var.mul_(factor)  # type: ignore[operator,union-attr]
