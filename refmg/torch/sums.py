"""Images of a PyTorch model shared out among ranks, and sums of tensors over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor

from refmg.distributed import Division, Share
from refmg_backends import RefmgError, get_backend

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class SharedImages:
    """Images for a model of which every rank looks at its own.

    Parameters
    ----------
    images : Tensor, shape (m, C, n_1, .., n_d), or iterable of batches
        A tensor of all images, such as one mapped from a file, the same on every rank; an iterable gives the
        batches of its rank alone, at least one, as a ``DataLoader`` with a ``DistributedSampler`` does.
    share : Share
        How they are shared out.

    Raises
    ------
    RefmgError
        If there are fewer images than ranks, or an iterable should be summed by fixed blocks, which only the
        numbers of all images give.

    Examples
    --------
    >>> from refmg.distributed import SerialCommunicator
    >>> SharedImages(torch.zeros(5, 1, 4, 4), Share(SerialCommunicator())).own(2)[0].shape
    torch.Size([5, 1, 4, 4])
    """

    images: Tensor | Iterable[Any]
    share: Share

    def __post_init__(self) -> None:
        """Refuse what cannot be shared out."""
        ranks = self.share.communicator.size
        if isinstance(self.images, Tensor) and len(self.images) < ranks:
            raise RefmgError(
                f"found {len(self.images)} images for {ranks} ranks; expected at least one image a rank: "
                "start fewer ranks"
            )
        if not isinstance(self.images, Tensor) and self.share.deterministic:
            raise RefmgError("found batches for deterministic sums; expected one tensor of all images")

    def own(self, size: int) -> tuple[Any, int, TensorSums]:
        """Return this rank's images, the size of a batch, and how to sum over all.

        Raises
        ------
        RefmgError
            If there are fewer blocks of images than ranks.
        """
        share, ranks = self.share, self.share.communicator.size
        if not isinstance(self.images, Tensor):
            return self.images, size, TensorSums(share, Division(ranks, 1, ranks))
        division = share.division(len(self.images), size)
        if division.idle:
            raise RefmgError(
                f"found {division.count} blocks of images for {ranks} ranks; expected at least one a rank: "
                "start fewer ranks"
            )
        return self.images[share.part(division)], share.batch(division, size), TensorSums(share, division)


@dataclass(frozen=True)
class TensorSums:
    """Sums of tensors over all images, the same on every rank."""

    share: Share
    division: Division

    def total(self, terms: list[Tensors]) -> Tensors:
        """Return the sums over all ranks of float64 tensors: those of each batch, in order."""
        place = get_backend("numpy")
        arrays = (tuple(t.detach().cpu().numpy() for t in term) for term in terms)
        found = self.share.total(place, arrays, self.division)
        return tuple(
            torch.as_tensor(a).to(t.device).reshape(t.shape) for a, t in zip(found, terms[0], strict=True)
        )

    def first(self, tensor: Tensor) -> Tensor:
        """Return the tensor of the first rank."""
        found = self.share.communicator.broadcast(tensor.detach().cpu().numpy())
        return torch.as_tensor(found).to(tensor.device)


def over_ranks(terms: list[Tensors], sums: TensorSums | None) -> Tensors:
    """Return the sums of tensors over batches, and over all ranks where images are shared out."""
    if sums is not None:
        return sums.total(terms)
    return tuple(reduce(add, parts) for parts in zip(*terms, strict=True))
