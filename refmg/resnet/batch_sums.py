"""A batch of which every rank has a part: sums and moments over all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from refmg.distributed.division import Division
from refmg.distributed.share import Share
from refmg.resnet.blocks import Blocks, each
from refmg_backends import Backend
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
class BlockSums(BatchSums):
    """Sums over the examples of batches in fixed blocks: the same bits for every number of ranks.

    Each is made in the order of one tree over the blocks, whoever has them.
    """

    def total(self, *parts: Array) -> tuple[Array, ...]:
        """Return the sums over all blocks of a batch of what was found for each, as one message."""
        assert self.share is not None
        division = parts[0].division
        # A rank without a block has looked at one of others: nobody waited for it.
        own = len(division.blocks(self.share.communicator.rank))
        terms = zip(*(part.parts[:own] for part in parts), strict=True)
        return self.share.total(self.backend, terms, division)

    def moments(self, parts: list[Blocks]) -> tuple[Array, Array]:
        """Return mean and biased variance of each channel of all batches together.

        Parameters
        ----------
        parts : list of Blocks, shape (C, cells, m)
            The features of this process, one of each batch.

        Notes
        -----
        As in :meth:`BatchSums.moments`, with blocks for the parts.
        """

        def found(X: Array) -> tuple[Any, ...]:
            return X.shape[1] * X.shape[2] / self.numbers(X), *self.backend.moments(X)

        def weighted_mean(w: float, mu: Array, v: Array) -> Array:
            return w * mu

        def weighted_variance(w: float, mu: Array, v: Array) -> Array:
            return w * (v + (mu - mean) ** 2)

        every = [each(found, X) for X in parts]
        mean = self._over_batches(each(weighted_mean, *one) for one in every)
        return mean, self._over_batches(each(weighted_variance, *one) for one in every)

    def _over_batches(self, terms: Iterable[Blocks]) -> Array:
        return reduce(add, (self.total(term)[0] for term in terms))
