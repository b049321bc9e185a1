"""What a process has of a batch: all of it, a part, or some of its fixed blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refmg.distributed.division import Division
from refmg.distributed.share import Share
from refmg.distributed.shared_examples import share_of
from refmg.resnet.batch_sums import BatchSums, BlockSums
from refmg.resnet.blocks import Blocks, contiguous
from refmg_backends import Backend
from refmg_backends.backend import Array

BLOCKS, LEAST = 8, 8  # fixed blocks of a batch, so many ranks have work; examples of one


@dataclass(frozen=True)
class BatchPart:
    """What this process has of a batch: images ``(in_channels, n_1, n_2, own examples)``, and which.

    Attributes
    ----------
    images : array or Blocks
    examples : tuple of slice
        Of the only array, or of each block.
    sums : BatchSums
    """

    images: Array
    examples: tuple[slice, ...]
    sums: BatchSums

    def of(self, x: Array) -> Array:
        """Return this part of an array of the whole batch, examples last."""
        if not isinstance(self.images, Blocks):
            return x[..., self.examples[0]]
        xp = self.sums.backend.xp
        return Blocks(tuple(contiguous(xp, x[..., some]) for some in self.examples), self.images.division)


def division_of_batch(backend: Backend, examples: int, share: Share) -> Division:
    """Return which examples of a batch belong to which rank.

    Fixed blocks have at least :data:`LEAST` examples, and a vector of the backend's: kernels do nearly the
    same work for fewer. A batch of so few is one block.

    Examples
    --------
    >>> from refmg.distributed import SerialCommunicator
    >>> from refmg_backends import get_backend
    >>> place, share = get_backend("numpy"), Share(SerialCommunicator(), deterministic=True)
    >>> [division_of_batch(place, m, share).block for m in (5, 32, 128)]
    [5, 8, 16]
    """
    if not share.deterministic:
        return share.division(examples, max(examples, 1), backend)
    lanes = backend.lanes
    wanted = max(-(-examples // BLOCKS), LEAST)
    size = min(wanted + -wanted % lanes, max(examples, 1))
    return Division(examples, size, share.communicator.size)


def part_of_batch(backend: Backend, x: Any, dtype: str) -> BatchPart:
    """Return what this process has of a batch: all of an array, its rank's part of shared examples.

    A batch of fewer examples than ranks, such as the last one of many, is computed whole by every rank: the
    kernels know no part without an example, and it is small. Where sums are deterministic a rank without a
    block likewise computes the first one, of which it adds nothing.

    Parameters
    ----------
    backend : Backend
        Where an array already is; where shared examples are moved to.
    x : array or SharedExamples, shape (in_channels, n_1, n_2, m)
    dtype : str
        In which shared examples are moved.
    """
    share, m = share_of(x), x.shape[-1]
    if share is None:
        return BatchPart(x, (slice(0, m),), BatchSums(backend, m))
    division = division_of_batch(backend, m, share)
    if share.deterministic:
        return _part_in_blocks(backend, x, dtype, division)
    if division.idle:
        whole = backend.asarray(x.read(slice(0, m)), dtype=dtype)
        return BatchPart(whole, (slice(0, m),), BatchSums(backend, m, share, repeated=True))
    own = backend.asarray(x.own(division), dtype=dtype)
    return BatchPart(own, (share.part(division),), BatchSums(backend, m, share))


def _part_in_blocks(backend: Backend, x: Any, dtype: str, division: Division) -> BatchPart:
    share, size = x.share, division.block
    numbers = division.blocks(share.communicator.rank)
    own = backend.asarray(x.own(division) if numbers else x.read(slice(0, size)), dtype=dtype)
    count, before = own.shape[-1], share.part(division).start if numbers else 0
    slices = [slice(i, min(i + size, count)) for i in range(0, max(count, 1), size)]
    images = Blocks(tuple(contiguous(backend.xp, own[..., some]) for some in slices), division)
    examples = tuple(slice(before + some.start, before + some.stop) for some in slices)
    return BatchPart(images, examples, BlockSums(backend, x.shape[-1], share))
