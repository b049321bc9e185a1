"""A batch of which every rank has a part: sums and moments over all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refmg.distributed.division import Division
from refmg.distributed.share import Share
from refmg.distributed.shared_examples import share_of
from refmg_backends import Backend, RefmgError
from refmg_backends.backend import Array


@dataclass(frozen=True)
class BatchSums:
    """Sums over the examples of a batch, of which this process has all, or those of its rank.

    Attributes
    ----------
    backend : Backend
    examples : int
        Of the whole batch.
    share : Share, optional
        The ranks that have its parts.
    repeated : bool
        Whether every rank has the whole batch: what the first one finds is the sum.
    """

    backend: Backend
    examples: int
    share: Share | None = None
    repeated: bool = False

    def total(self, *parts: Array) -> tuple[Array, ...]:
        """Return the sums over all ranks of what each found for its part, as one message."""
        if self.share is None:
            return parts
        if self.repeated and self.share.communicator.rank:
            # Not its own numbers: ranks whose backends do not repeat every bit would go apart.
            parts = tuple(self.backend.xp.zeros_like(part) for part in parts)
        size = self.share.communicator.size
        return self.share.total(self.backend, [parts], Division(size, 1, size))

    def numbers(self, X: Array) -> int:
        """Return how many numbers a channel has in features ``(C, cells, own examples)`` of all ranks."""
        return int(X.shape[1]) * self.examples

    def moments(self, parts: list[Array]) -> tuple[Array, Array]:
        """Return mean and biased variance of each channel of the whole batch.

        Parameters
        ----------
        parts : list of array, shape (C, cells, m)
            The features of this process.

        Notes
        -----
        The variance of a union is the mean of the variances and of the squared distances of the means,
        weighted by the numbers (Chan, Golub and LeVeque, 1983): no squares of numbers that are far from 0.
        """
        xp, found = self.backend.xp, [self.backend.moments(X) for X in parts]
        if len(found) == 1 and self.share is None:
            return found[0]
        dtype = found[0][0].dtype
        weights = [X.shape[1] * X.shape[2] / self.numbers(X) for X in parts]
        (mean,) = self.total(sum(w * mu for w, (mu, _) in zip(weights, found, strict=True)))
        within = sum(w * v for w, (_, v) in zip(weights, found, strict=True))
        between = sum(w * (mu - mean) ** 2 for w, (mu, _) in zip(weights, found, strict=True))
        (variance,) = self.total(within + between)
        return xp.astype(mean, dtype), xp.astype(variance, dtype)


@dataclass(frozen=True)
class BatchPart:
    """What this process has of a batch: images ``(in_channels, n_1, n_2, own examples)``, and which."""

    images: Array
    examples: slice
    sums: BatchSums


def division_of_batch(backend: Backend, examples: int, share: Share) -> Division:
    """Return which examples of a batch belong to which rank."""
    return share.division(examples, max(examples, 1), backend)


def part_of_batch(backend: Backend, x: Any, dtype: str) -> BatchPart:
    """Return what this process has of a batch: all of an array, its rank's part of shared examples.

    A batch of fewer examples than ranks, such as the last one of many, is computed whole by every rank: the
    kernels know no part without an example, and it is small.

    Parameters
    ----------
    backend : Backend
        Where an array already is; where shared examples are moved to.
    x : array or SharedExamples, shape (in_channels, n_1, n_2, m)
    dtype : str
        In which shared examples are moved.

    Raises
    ------
    RefmgError
        If sums should be deterministic: moments of a batch are made of one part a rank, so that their last
        bits depend on the number of ranks.
    """
    share, m = share_of(x), x.shape[-1]
    if share is None:
        return BatchPart(x, slice(0, m), BatchSums(backend, m))
    if share.deterministic:
        raise RefmgError(
            "found deterministic sums for a network with batch norms; expected plain ones: its bits depend "
            "on the number of ranks"
        )
    division = division_of_batch(backend, m, share)
    if division.idle:
        whole = backend.asarray(x.read(slice(0, m)), dtype=dtype)
        return BatchPart(whole, slice(0, m), BatchSums(backend, m, share, repeated=True))
    own = backend.asarray(x.own(division), dtype=dtype)
    return BatchPart(own, share.part(division), BatchSums(backend, m, share))
