"""What two networks make of the same images, block by block: kept while there is room, else computed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod

import numpy as np

from refmg.distributed.division import Division
from refmg.distributed.shared_examples import SharedExamples
from refmg.network import Network
from refmg.propagation import Propagation
from refmg_backends.backend import Array

Pair = tuple[Array, Array]
Map = Callable[[Array], Array]


class StatePairs:
    """The states of an old and of a new network on this rank's images, at the time that was reached.

    Parameters
    ----------
    old : Network
        The backend and precision of the states.
    x_old, x_new : SharedExamples, shape (C_in, n_1, .., n_d, m)
        The same images on both grids, shared out alike.
    division : Division
        Which of them are this rank's.
    size : int
        Examples in a block.
    room : int
        Bytes for states that are kept from one time to the next.

    Notes
    -----
    A block that is not kept begins at its images each time that one goes through the states: for L layers it
    takes of the order of L^2 / 2 steps, where L would do. Each step is done by the controls that it had when
    it was taken, so that a block has the same bits whether it is kept or not.
    """

    def __init__(
        self,
        old: Network,
        x_old: SharedExamples,
        x_new: SharedExamples,
        division: Division,
        size: int,
        room: int,
    ) -> None:
        self.old, self.x, self.room = old, (x_old, x_new), room
        part = division.part(x_old.share.communicator.rank)
        self.blocks = [slice(i, min(i + size, part.stop)) for i in range(part.start, part.stop, size)]
        self._maps: list[tuple[Map, Map]] = []  # the openings, then the steps
        self._largest = 0  # bytes of a block's states
        self._kept: dict[int, tuple[int, Pair]] = {}  # by block, with the number of maps that were taken

    def images(self) -> Iterator[Pair]:
        """Yield the images of each block, for both networks."""
        return map(self._images, self.blocks)

    def open(self, old: Propagation, new: Propagation) -> None:
        """Go to time 0."""
        self._maps.append((old.first_state, new.first_state))

    def advance(self, k: int, old: Propagation, new: Propagation) -> None:
        """Take step k, by the controls that these have now."""
        self._maps.append((_step(old, k), _step(new, k)))

    def __iter__(self) -> Iterator[Pair]:
        """Yield the states of each block, of the old and of the new network."""
        for number, block in enumerate(self.blocks):
            if number in self._kept:
                done, pair = self._kept.pop(number)
            else:
                done, pair = 0, self._images(block)
            for old, new in self._maps[done:]:
                pair = old(pair[0]), new(pair[1])
            self._keep(number, pair)
            yield pair

    def _images(self, block: slice) -> Pair:
        place, dtype = self.old.backend, self.old.dtype
        one, other = (place.asarray(x.read(block), dtype=dtype) for x in self.x)
        return one, other

    def _keep(self, number: int, pair: Pair) -> None:
        one = sum(prod(S.shape) for S in pair) * np.dtype(self.old.dtype).itemsize
        # The first block is the largest, or the only one.
        self._largest = max(self._largest, one)
        if (len(self._kept) + 1) * self._largest <= self.room:
            self._kept[number] = len(self._maps), pair


def _step(propagation: Propagation, k: int) -> Map:
    # Without the propagation, which has the operators of all steps.
    return partial(propagation.steps[k].step, propagation.stage_layers(k))
