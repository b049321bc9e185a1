"""Examples of which every rank reads its own: an array of all of them that is nowhere as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.distributed.communicator import SerialCommunicator
from refmg.distributed.division import Division
from refmg.distributed.share import Share
from refmg_backends import RefmgError

Read = Callable[[Any], NDArray[Any]]
MOST_KEPT = 4  # parts of different divisions
ALONE = Share(SerialCommunicator())


class SharedExamples:
    """All examples, examples last, of which a rank reads those that it needs.

    Whatever takes images ``(C, n_1, .., n_d, m)`` takes these instead, on every rank the same, and sums over
    all ranks: :class:`refmg.Batches` and all that trains on them, :meth:`refmg.Network.accuracy`,
    :class:`refmg.Spectrum`, :func:`refmg.transfer_network`.

    Parameters
    ----------
    read : callable
        From numbers of examples (a slice, or an array of integers) to the array of these examples.
    shape : tuple of int
        Of all examples, ``(C, n_1, .., n_d, m)``.
    dtype : dtype
        Of what is read.
    share : Share
        How they are shared out.

    Raises
    ------
    RefmgError
        If there are fewer examples than ranks.

    Examples
    --------
    >>> from refmg.distributed import SerialCommunicator, Share, share_examples
    >>> x = share_examples(np.arange(6.0).reshape(1, 2, 3), Share(SerialCommunicator()))
    >>> x.shape, x[..., 1:].shape, x.mapped(lambda part: 10 * part).read([2]).ravel()
    ((1, 2, 3), (1, 2, 2), array([20., 50.]))
    """

    def __init__(self, read: Read, shape: tuple[int, ...], dtype: Any, share: Share) -> None:
        if shape[-1] < share.communicator.size:
            raise RefmgError(
                f"found {shape[-1]} examples for {share.communicator.size} ranks; expected at least one "
                "example a rank: start fewer ranks"
            )
        self._set(read, shape, dtype, share)

    def _set(self, read: Read, shape: tuple[int, ...], dtype: Any, share: Share) -> None:
        self._read, self.share = read, share
        self.shape, self.dtype, self.ndim = tuple(shape), np.dtype(dtype), len(shape)
        self._kept: dict[tuple[int, int], NDArray[Any]] = {}

    def _like(self, read: Read, shape: tuple[int, ...], dtype: Any) -> SharedExamples:
        """Return others that are shared out alike; a few of many may be fewer than ranks."""
        found = object.__new__(SharedExamples)
        found._set(read, shape, dtype, self.share)
        return found

    def __getitem__(self, key: Any) -> SharedExamples:
        """Return some of the examples, ``x[..., numbers]``, of which nothing is read."""
        if not (isinstance(key, tuple) and len(key) == 2 and key[0] is Ellipsis):
            raise RefmgError(
                f"found the index {key!r} of examples that are shared out; expected x[..., some]"
            )
        numbers = np.arange(self.shape[-1])[key[1]]

        def read(chosen: Any) -> NDArray[Any]:
            return self._read(_as_slice(numbers[chosen]))

        return self._like(read, (*self.shape[:-1], len(numbers)), self.dtype)

    def read(self, numbers: Any) -> NDArray[Any]:
        """Return the examples of these numbers as an array: of any rank's part, nothing is communicated."""
        if isinstance(numbers, slice):
            return self._read(_plain(numbers, self.shape[-1]))
        return self._read(_as_slice(np.arange(self.shape[-1])[numbers]))

    def own(self, division: Division) -> NDArray[Any]:
        """Return this rank's part of a division; it is read once."""
        part = division.part(self.share.communicator.rank)
        key = part.start, part.stop
        if key not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._read(part)
        return self._kept[key]

    def mapped(self, function: Callable[[NDArray[Any]], NDArray[Any]]) -> SharedExamples:
        """Return what a function makes of them, one by one, when they are read."""
        one = function(self._read(slice(0, 1)))
        return self._like(
            lambda numbers: function(self._read(numbers)), (*one.shape[:-1], self.shape[-1]), one.dtype
        )


def _plain(numbers: slice, count: int) -> Any:
    """Return a slice with bounds, or its numbers where it leaves some out."""
    start, stop, step = numbers.indices(count)
    return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)


def _as_slice(numbers: NDArray[np.intp]) -> Any:
    """Return numbers that follow each other as a slice, which copies nothing."""
    if len(numbers) and (np.diff(numbers) == 1).all():
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return numbers


def share_examples(x: Any, share: Share) -> SharedExamples:
    """Return an array, in memory or mapped into it, as examples that are shared out; nothing is copied.

    Parameters
    ----------
    x : ndarray, shape (C, n_1, .., n_d, m)
        The same on every rank, such as ``numpy.load(path, mmap_mode="r")`` of one file.
    share : Share
        How.

    Raises
    ------
    RefmgError
        If there are fewer examples than ranks.
    """
    return SharedExamples(lambda numbers: x[..., numbers], x.shape, x.dtype, share)


def alone_or_shared(x: Any) -> SharedExamples:
    """Return examples that are shared out as they are, and an array as the examples of one process alone."""
    return x if isinstance(x, SharedExamples) else share_examples(np.asarray(x), ALONE)


def share_of(x: Any) -> Share | None:
    """Return how examples, or batches of them, are shared out; None where one process has them all."""
    return getattr(x, "share", None)


def as_examples(x: Any) -> Any:
    """Return an array, or examples that are shared out as they are."""
    return x if isinstance(x, SharedExamples) else np.asarray(x)


def mapped_examples(x: Any, function: Callable[[Any], Any]) -> Any:
    """Return a function of an array, or of examples that are shared out."""
    return x.mapped(function) if isinstance(x, SharedExamples) else function(x)
