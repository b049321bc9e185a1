"""Images for a model, in batches that can be gone through again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from refmg.stencil import per_axis
from refmg.torch.sums import SharedImages, TensorSums
from refmg.transfer import Shape, coarse_shape
from refmg_backends import RefmgError

POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE_POOLS = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}


@dataclass(frozen=True)
class Batches:
    """Images where a model wants them.

    Parameters
    ----------
    images : Tensor, shape (m, C, n_1, .., n_d), or iterable of batches
        An iterable, such as a ``DataLoader``, must give the same batches each time; of batches that are
        tuples, the first entry is taken, so that labels are not looked at.
    size : int
        Examples in a batch, where `images` is one tensor.
    device, dtype
        Of the model.
    sums : TensorSums, optional
        Where these are the images of one rank: how to sum over all.
    """

    images: Tensor | Iterable[Any]
    size: int
    device: torch.device
    dtype: torch.dtype
    sums: TensorSums | None = None

    def __iter__(self) -> Iterator[Tensor]:
        """Yield tensors ``(examples, C, n_1, .., n_d)``.

        Raises
        ------
        RefmgError
            If there are none, one is no image, or a value is NaN or infinite.
        """
        parts = self.images.split(self.size) if isinstance(self.images, Tensor) else self.images
        count = 0
        for part in parts:
            x = part[0] if isinstance(part, (tuple, list)) else part
            _check(x)
            count += len(x)
            if not len(x):
                continue
            yield x.to(self.device, self.dtype)
        if not count:
            raise RefmgError(
                "found no images; expected a tensor, or batches that can be gone through more than once: a "
                "list or a DataLoader, not a generator"
            )

    def first(self) -> Tensor:
        """Return the first two images, to look at what a model does."""
        return next(iter(self))[:2]


def batches_for(model: torch.nn.Module, images: Tensor | Iterable[Any] | SharedImages, size: int) -> Batches:
    """Return images on the device and in the precision of a model's parameters; of shared ones its own.

    Raises
    ------
    RefmgError
        If the model is none, such as its tensors alone, or has no floating parameters.
    """
    if not isinstance(model, torch.nn.Module):
        raise RefmgError(
            f"found {type(model).__name__} as the model; expected a torch.nn.Module that runs: load a state "
            "into one, or move tensors alone by refmg.transfer_tensors"
        )
    for parameter in model.parameters():
        if parameter.is_floating_point():
            sums = None
            if isinstance(images, SharedImages):
                images, size, sums = images.own(size)
            return Batches(images, size, parameter.device, parameter.dtype, sums)
    raise RefmgError("found a model without floating parameters; expected a trained network")


def _check(x: Any) -> None:
    if not isinstance(x, Tensor) or x.ndim not in (3, 4, 5) or not x.is_floating_point():
        found = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise RefmgError(
            f"found images as {found}; expected a floating tensor (m, C, n_1, .., n_d), d = 1, 2 or 3"
        )
    if not torch.isfinite(x).all():
        raise RefmgError("found NaN or infinity in the images; expected finite values: drop or repair them")


def coarsen(x: Tensor, factor: int | Shape) -> Tensor:
    """Return images on the coarse grid: R, the mean over blocks.

    Parameters
    ----------
    x : Tensor, shape (m, C, n_1, .., n_d)
    factor : int or tuple of int
        One for all axes or one each.

    Returns
    -------
    Tensor

    Raises
    ------
    RefmgError
        If the factor does not divide the grid.

    Examples
    --------
    >>> coarsen(torch.tensor([[[1.0, 3.0, 5.0, 5.0]]]), 2)
    tensor([[[2., 5.]]])
    """
    d = x.ndim - 2
    coarse_shape(tuple(x.shape[2:]), factor)
    kernel = per_axis("factor", factor, d)
    return POOLS[d](x, kernel)


def pooled(x: Tensor, grid: Shape) -> Tensor:
    """Return features on a grid with at most as many cells: means over blocks where sizes divide.

    Elsewhere the blocks overlap (adaptive average pooling): cell i averages the cells from
    ``floor(i n / N)`` to below ``ceil((i + 1) n / N)``.

    Examples
    --------
    >>> pooled(torch.tensor([[[1.0, 2.0, 4.0]]]), (2,))
    tensor([[[1.5000, 3.0000]]])
    """
    return x if tuple(x.shape[2:]) == tuple(grid) else ADAPTIVE_POOLS[x.ndim - 2](x, grid)
