"""Examples divided into batches, converted to the backend one at a time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, overload

import numpy as np

from refmg.distributed.division import Division
from refmg.distributed.share import Share, Terms, by_block
from refmg.distributed.shared_examples import share_of
from refmg.halving import in_halves, warn_of_halving
from refmg.losses import as_targets
from refmg_backends import Backend, RefmgError
from refmg_backends.backend import Array


@dataclass(frozen=True)
class Batch:
    """Some examples: images or features, examples last, and one-hot labels ``(classes, m)``."""

    x: Array
    targets: Array

    @property
    def size(self) -> int:
        """Number of examples."""
        return int(self.targets.shape[1])

    def part(self, examples: slice) -> Batch:
        """Return some of the examples."""
        return Batch(self.x[..., examples], self.targets[..., examples])

    def halves(self) -> list[Batch]:
        """Return the first half of the examples, and the others."""
        half = self.size // 2
        return [self.part(slice(half)), self.part(slice(half, None))]


class Batches(Sequence[Batch]):
    """Examples on the host, or in a memory-mapped file, as a sequence of batches on the backend.

    Each batch is converted when it is asked for and not kept, so that a pass over any number of
    examples needs the memory of a few batches. Iteration halves a batch that does not fit into the
    backend's memory, with a warning, and keeps to the halves; ``batches[i]`` and the length know the
    given size alone.

    Parameters
    ----------
    x : ndarray or SharedExamples, shape (C_in, n_1, .., n_d, m)
        Images on the host. Of shared ones these are the batches of this rank.
    labels : ndarray, shape (m,) of int, or (classes, m) one-hot
        Their classes.
    classes, size : int
        Number of classes; examples a batch.
    backend : Backend
        Where the batches shall live.
    dtype : str
        Their precision.

    Raises
    ------
    RefmgError
        If labels are no labels of these classes, or do not fit the images.
    MemoryError
        When a batch is asked for by number and does not fit, or a single example does not.

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> images, labels = np.zeros((1, 4, 5)), np.array([0, 1, 0, 1, 1])
    >>> [batch.x.shape for batch in Batches(images, labels, 2, 2, get_backend("numpy"), "float64")]
    [(1, 4, 2), (1, 4, 2), (1, 4, 1)]
    """

    def __init__(
        self, x: np.ndarray, labels: np.ndarray, classes: int, size: int, backend: Backend, dtype: str
    ) -> None:
        self.targets = as_targets(labels, classes)
        if x.shape[-1] != self.targets.shape[1]:
            raise RefmgError(
                f"found {x.shape[-1]} images and {self.targets.shape[1]} labels; expected as many of both: "
                "images are (channels, grid, examples), examples last"
            )
        if size < 1:
            raise RefmgError(f"found batches of {size} examples; expected 1 or more")
        self.given, self.examples, self.share = (x, self.targets), int(x.shape[-1]), share_of(x)
        if self.share is not None:
            self.division = self.share.division(self.examples, size, backend)
            size = self.share.batch(self.division, size)
            x, self.targets = x.own(self.division), self.targets[:, self.share.part(self.division)]  # type: ignore[attr-defined]
        self.x, self.batch_size, self.backend, self.dtype = x, size, backend, dtype
        m = self.targets.shape[1]
        self._ends = [*range(size, m, size), m]

    def take(self, chosen: np.ndarray) -> Batches:
        """Return batches of the examples with these numbers, shared out again where these are."""
        x, targets = self.given[0][..., chosen], self.given[1][:, chosen]
        return Batches(x, targets, targets.shape[0], self.batch_size, self.backend, self.dtype)

    def alone(self, chosen: np.ndarray) -> Batches:
        """Return batches of the examples with these numbers, for this process alone."""
        x, targets = self.given
        x = x[..., chosen] if self.share is None else x.read(chosen)  # type: ignore[attr-defined]
        return Batches(x, targets[:, chosen], len(targets), self.batch_size, self.backend, self.dtype)

    def __len__(self) -> int:
        return -(-self.targets.shape[1] // self.batch_size)

    @overload
    def __getitem__(self, i: int) -> Batch: ...
    @overload
    def __getitem__(self, i: slice) -> list[Batch]: ...
    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"found batch {i}; expected one of {len(self)}")
        start = (i % len(self)) * self.batch_size
        return self._uploaded(start, start + self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches in order, those that do not fit into memory in halves."""
        start, m = 0, self.targets.shape[1]
        while start < m:
            stop = self._ends[bisect_right(self._ends, start)]
            batch = self._fitting(start, stop)
            if batch is None:
                self.backend.release()
                warn_of_halving(stop - start)
                self.divide([(start + stop) // 2])
                continue
            yield batch
            del batch  # not held while the next one is made
            start = stop

    def divide(self, ends: Iterable[int]) -> None:
        """Let batches end before these examples too, from now on, when they are iterated."""
        for end in ends:
            if 0 < end < self._ends[-1] and self._ends[bisect_left(self._ends, end)] != end:
                insort(self._ends, end)

    def _fitting(self, start: int, stop: int) -> Batch | None:
        """Return these examples, or nothing where there is no memory for several."""
        try:
            return self._uploaded(start, stop)
        except MemoryError:
            if stop - start < 2:
                raise
        return None

    def _uploaded(self, start: int, stop: int) -> Batch:
        part = slice(start, stop)
        x = np.ascontiguousarray(self.x[..., part])
        if not np.isfinite(x).all():
            raise RefmgError(
                f"found values that are not finite in the examples {start} to {start + x.shape[-1] - 1}; "
                "expected numbers: look for NaN in the images"
            )
        targets = np.ascontiguousarray(self.targets[:, part])
        return Batch(
            self.backend.asarray(x, dtype=self.dtype), self.backend.asarray(targets, dtype=self.dtype)
        )


def mapped(
    backend: Backend,
    function: Callable[[Batch], Any],
    batches: Iterable[Batch],
    lanes: int | None = None,
) -> Iterator[Any]:
    """Yield `function` of each batch in order; a batch that does not fit into memory is halved.

    The halves are remembered: the next pass over the same `Batches`, or over the same list, which then
    holds the halves, does not fail again.

    Parameters
    ----------
    backend : Backend
        Maps, side by side where it can.
    function : callable
        Of one batch, with results that add up over batches.
    batches : iterable of Batch
        What is mapped.
    lanes : int, optional
        See :func:`cut`.

    Yields
    ------
    object
        One result a batch; where a batch was halved, one a part. A warning says so.

    Raises
    ------
    MemoryError
        If a single example does not fit.
    """
    for _, found in sized(backend, function, batches, lanes):
        yield found


def sized(
    backend: Backend,
    function: Callable[[Batch], Any],
    batches: Iterable[Batch],
    lanes: int | None = None,
) -> Iterator[tuple[int, Any]]:
    """Yield what :func:`mapped` yields, each with its number of examples."""

    def work(batch: Batch) -> tuple[list[int], list[Any]]:
        parts = [batch]
        found = in_halves(backend, function, parts)
        return [part.size for part in parts], found

    ends, start = list[int](), 0
    halved = False
    for sizes, found in backend.map(work, cut(backend, batches, lanes)):
        ends += (stops := [start + size for size in accumulate(sizes)])
        if len(sizes) > 1:
            halved = True
            if isinstance(batches, Batches):
                batches.divide([start, *stops])
        start = stops[-1]
        yield from zip(sizes, found, strict=True)
    if halved and isinstance(batches, list):
        batches[:] = _divided(batches, ends)


def summed(
    backend: Backend,
    function: Callable[[Batch], Terms],
    batches: Sequence[Batch],
    lanes: int | None = None,
) -> Iterator[Terms]:
    """Yield what is to be added for the sum over all examples: a tuple of arrays for each batch.

    Where examples are shared out among ranks, their sum over all ranks is what is yielded, once.

    Parameters
    ----------
    backend, function, batches, lanes
        As for :func:`mapped`; `function` returns a tuple of arrays.
    """
    yield from over_ranks(backend, sized(backend, function, batches, lanes), batches)


def over_ranks(
    backend: Backend, parts: Iterable[tuple[int, Terms]], batches: Sequence[Batch]
) -> Iterator[Terms]:
    """Yield tuples of arrays, or their sum over all ranks where the batches are shared out.

    Parameters
    ----------
    backend : Backend
        Where the arrays live.
    parts : iterable of (int, tuple of array)
        How many examples each is of, and what was found of them.
    batches : sequence of Batch
        All of them together.
    """
    shared = division_of(batches)
    if shared is None:
        for _, terms in parts:
            yield terms
        return
    share, division = shared
    yield share.total(backend, by_block(parts, division), division)


def own(batches: Sequence[Batch]) -> Batches | list[Batch]:
    """Return the same `Batches`, or a list of the same batches, which may be divided."""
    return batches if isinstance(batches, Batches) else list(batches)


def _divided(batches: list[Batch], ends: list[int]) -> Iterator[Batch]:
    """Yield the parts of batches that end before these examples, and where the batches end."""
    first = 0
    for batch in list(batches):
        inside = [end - first for end in ends if first < end < first + batch.size]
        for start, end in pairwise([0, *inside, batch.size]):
            yield batch if end - start == batch.size else batch.part(slice(start, end))
        first += batch.size


def examples_in(batches: Sequence[Batch]) -> int:
    """Return the number of examples, those of other ranks among them."""
    if isinstance(batches, Batches):
        return batches.examples
    return sum(batch.size for batch in batches)


def division_of(batches: Sequence[Batch]) -> tuple[Share, Division] | None:
    """Return how the examples of batches are shared out; None where one process has them all."""
    if isinstance(batches, Batches) and batches.share is not None:
        return batches.share, batches.division
    return None


def cut(backend: Backend, batches: Iterable[Batch], lanes: int | None = None) -> Iterator[Batch]:
    """Yield the same examples in batches that suit the backend's kernels.

    At most ``backend.examples`` in each; what does not fill its vectors comes alone, so that nothing else
    is copied to be filled up.

    Parameters
    ----------
    backend : Backend
        Where the batches live.
    batches : iterable of Batch
        Of any size.
    lanes : int, optional
        Examples that fill a vector; ``backend.lanes`` by default, see :attr:`Propagation.lanes`.
    """
    for batch in batches:
        most = backend.examples or max(1, batch.size)
        whole = batch.size - batch.size % (lanes or backend.lanes)
        ends = [*range(most, whole, most), *([whole] if whole else []), batch.size]
        starts = [0, *ends[:-1]]
        for start, end in zip(starts, ends, strict=True):
            if (start, end) == (0, batch.size):
                yield batch
            elif start < end:
                yield batch.part(slice(start, end))
