"""What the ranks of a run say to each other: the few operations that refmg asks of a message library."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from numpy.typing import NDArray

Numbers = NDArray[Any]


class Communicator(Protocol):
    """Some processes, each of a rank from 0 to ``size - 1``, that call the same operations in the same order.

    :class:`SerialCommunicator` is one process alone, :class:`MPICommunicator` those that ``mpiexec`` started.
    Arrays are contiguous, on the host, and of the same shape and type on every rank.
    """

    @property
    def rank(self) -> int:
        """Which one this process is."""

    @property
    def size(self) -> int:
        """How many there are."""

    def sum(self, numbers: Numbers) -> Numbers:
        """Return the sums over all ranks, element by element, the same bits on every rank."""

    def begin_sum(self, numbers: Numbers) -> Callable[[], Numbers]:
        """Begin :meth:`sum`, and return what waits for its end; `numbers` must not change before."""

    def broadcast_numbers(self, numbers: Numbers) -> Numbers:
        """Return the array of rank 0."""

    def broadcast(self, content: Any) -> Any:
        """Return the object of rank 0; of the others nothing is looked at."""

    def gather(self, content: Any) -> list[Any]:
        """Return the objects of all ranks, in their order, on every rank."""

    def begin_send(self, numbers: Numbers, to: int) -> Callable[[], None]:
        """Begin to send an array, and return what waits for its end; `numbers` must not change before."""

    def begin_receive(self, numbers: Numbers, source: int) -> Callable[[], None]:
        """Begin to fill an array with the next one from a rank, and return what waits for it."""

    def split(self, group: int) -> Communicator:
        """Return the communicator of the ranks that name the same group, in the same order."""

    def abort(self, status: int) -> NoReturn:
        """End all ranks at once with an exit status."""


class SerialCommunicator:
    """One process alone: every sum is its own.

    Examples
    --------
    >>> import numpy as np
    >>> SerialCommunicator().sum(np.array([1.0, 2.0]))
    array([1., 2.])
    """

    rank, size = 0, 1

    def sum(self, numbers: Numbers) -> Numbers:
        """Return the numbers."""
        return numbers

    def begin_sum(self, numbers: Numbers) -> Callable[[], Numbers]:
        """Return what returns the numbers."""
        return lambda: numbers

    def broadcast_numbers(self, numbers: Numbers) -> Numbers:
        """Return the numbers."""
        return numbers

    def broadcast(self, content: Any) -> Any:
        """Return the object."""
        return content

    def gather(self, content: Any) -> list[Any]:
        """Return the object alone."""
        return [content]

    def begin_send(self, numbers: Numbers, to: int) -> Callable[[], None]:
        """Refuse: there is nobody else."""
        raise ValueError(f"found a message for rank {to}; expected none from a process that is alone")

    def begin_receive(self, numbers: Numbers, source: int) -> Callable[[], None]:
        """Refuse: there is nobody else."""
        raise ValueError(f"found a message from rank {source}; expected none for a process that is alone")

    def split(self, group: int) -> SerialCommunicator:
        """Return itself."""
        return self

    def abort(self, status: int) -> NoReturn:
        """End the process."""
        sys.exit(status)
