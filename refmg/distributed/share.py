"""Examples shared out among ranks, and sums over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from refmg.distributed.communicator import Communicator, Numbers
from refmg.distributed.division import Division, fixed_block
from refmg.distributed.packing import Layout, layout_of, packed, unpacked
from refmg.distributed.pairwise import PairwiseSum, aligned_nodes
from refmg.distributed.routes import HostRoute, Route
from refmg_backends import Backend
from refmg_backends.backend import Array

Terms = tuple[Array, ...]
SIXTEENTH, MANY = 16, 512  # parts end at multiples of 16, which suit kernels, where that hardly matters


@dataclass(frozen=True)
class Share:
    """How examples are shared out among ranks, and how sums over them are made.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    deterministic : bool
        Whether sums have the same bits for every number of ranks: they are made of fixed blocks of examples,
        each by one rank, in the order of a fixed tree.
    route : Route, optional
        How sums travel; through the host's memory by default. Deterministic ones always do.

    Examples
    --------
    >>> from refmg import get_backend
    >>> from refmg.distributed import SerialCommunicator
    >>> share = Share(SerialCommunicator(), deterministic=True)
    >>> division, place = share.division(5, 2), get_backend("numpy")
    >>> share.total(place, ((np.asarray(x),) for x in (1.0, 2.0, 3.0, 4.0, 5.0)), division)
    (array(15.),)
    """

    communicator: Communicator
    deterministic: bool = False
    route: Route | None = field(default=None, compare=False)

    def division(self, examples: int, size: int, backend: Backend | None = None) -> Division:
        """Return which examples belong to which rank.

        Parameters
        ----------
        examples : int
            How many there are.
        size : int
            Of a batch.
        backend : Backend, optional
            What suits its kernels is heeded.
        """
        ranks = self.communicator.size
        if self.deterministic:
            lanes, most = (1, 0) if backend is None else (backend.lanes, backend.examples)
            return Division(examples, fixed_block(examples, size, lanes, most), ranks)
        return Division(examples, SIXTEENTH if examples >= MANY * ranks else 1, ranks)

    def part(self, division: Division) -> slice:
        """Return the examples of this rank."""
        return division.part(self.communicator.rank)

    def batch(self, division: Division, size: int) -> int:
        """Return the examples of a batch: a block, where sums are made of fixed blocks."""
        return division.block if self.deterministic else size

    def total(self, backend: Backend, terms: Iterable[Terms], division: Division) -> Terms:
        """Return sums over all examples, the same on every rank.

        Parameters
        ----------
        backend : Backend
            Where the arrays live.
        terms : iterable of tuple of array
            What this rank found, examples in order: where sums are deterministic one for each of its blocks,
            else any number. Of a tuple, each array is summed for itself; all travel together. Floating
            numbers of shape ``()`` are summed in float64.
        division : Division
            Of the examples.
        """
        wide = (_wide(backend, term) for term in terms)
        return (
            self._in_pairs(backend, wide, division)
            if self.deterministic
            else self._plain(backend, wide, division)
        )

    def _plain(self, backend: Backend, terms: Iterator[Terms], division: Division) -> Terms:
        own: Terms | None = None
        for term in terms:
            own = term if own is None else added(own, term)
        layout = self._layout(backend, own, division)
        own = layout.zeros(backend) if own is None else own
        route = self.route or HostRoute(self.communicator)
        sums = [route.sum(backend, message) for message in packed(backend, own, layout)]
        return unpacked(backend, sums, layout)

    def _layout(self, backend: Backend, own: Terms | None, division: Division) -> Layout:
        """Return the layout of the sums, which ranks without an example are told."""
        layout = None if own is None else layout_of(backend, own)
        layout = self.communicator.broadcast(layout) if division.idle else layout
        assert layout is not None  # rank 0 has a block
        return layout

    def _in_pairs(self, backend: Backend, terms: Iterator[Terms], division: Division) -> Terms:
        comm = self.communicator
        own = division.blocks(comm.rank)
        tree, waits, sent = PairwiseSum(added, own.start, own.stop), list[Callable[[], Any]](), 0
        layout: Layout | None = None
        for number, term in zip(own, terms, strict=True):
            layout = layout or layout_of(backend, term)
            tree.push(number, 1, term)
            # What is finished travels while the next block is computed.
            while comm.rank and sent < tree.final():
                waits += self._begin_send(backend, tree.nodes[sent][2], layout)
                sent += 1
        layout = self._layout(backend, None if not own else tree.nodes[-1][2], division)
        if comm.rank == 0:
            self._collect(backend, tree, layout, division)
        messages = self._host(backend, tree.total(), layout) if comm.rank == 0 else layout.empty()
        found = [comm.broadcast_numbers(message) for message in messages]
        for wait in waits:
            wait()
        return unpacked(backend, [backend.asarray(message) for message in found], layout)

    def _host(self, backend: Backend, arrays: Terms, layout: Layout) -> list[Numbers]:
        return [np.ascontiguousarray(backend.to_numpy(m)) for m in packed(backend, arrays, layout)]

    def _begin_send(self, backend: Backend, arrays: Terms, layout: Layout) -> list[Callable[[], None]]:
        return [self.communicator.begin_send(m, 0) for m in self._host(backend, arrays, layout)]

    def _collect(
        self, backend: Backend, tree: PairwiseSum[Terms], layout: Layout, division: Division
    ) -> None:
        """Push what the other ranks send, of each one after the other; the next one's is under way."""
        ahead = self._receive(1, layout, division)
        for rank in range(1, self.communicator.size):
            here, ahead = ahead, self._receive(rank + 1, layout, division)
            for (start, width), messages, waits in here:
                for wait in waits:
                    wait()
                arrays = [backend.asarray(message) for message in messages]
                tree.push(start, width, unpacked(backend, arrays, layout))

    def _receive(self, rank: int, layout: Layout, division: Division) -> list[Any]:
        if rank >= self.communicator.size:
            return []
        own, found = division.blocks(rank), []
        for node in aligned_nodes(own.start, own.stop):
            messages = layout.empty()
            found.append((node, messages, [self.communicator.begin_receive(m, rank) for m in messages]))
        return found

    def gathered(self, array: Numbers, division: Division) -> Numbers:
        """Return arrays of all ranks, put together along the last axis: those of all examples, in order."""
        found = self.communicator.gather(array)
        return np.concatenate([part for part in found if part.shape[-1]], axis=-1)


def added(one: Terms, other: Terms) -> Terms:
    """Return the sums of two tuples of arrays."""
    return tuple(a + b for a, b in zip(one, other, strict=True))


def by_block(parts: Iterable[tuple[int, Terms]], division: Division) -> Iterator[Terms]:
    """Yield the sum of each block's parts.

    Parameters
    ----------
    parts : iterable of (int, tuple of array)
        How many examples each is of; no part belongs to two blocks.
    division : Division
        Of the examples.
    """
    waiting, count = list[Terms](), 0
    for size, terms in parts:
        waiting.append(terms)
        count += size
        if count >= division.block:
            yield reduce(added, waiting)
            waiting, count = [], 0
    if waiting:
        yield reduce(added, waiting)


def _wide(backend: Backend, terms: Terms) -> Terms:
    xp = backend.xp
    return tuple(xp.astype(t, xp.float64) if t.shape == () and t.dtype == xp.float32 else t for t in terms)
