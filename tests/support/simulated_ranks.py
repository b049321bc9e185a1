"""Ranks as threads of one process: every rule of the message library, and nobody waits for ever."""

import sys
import threading
from queue import Empty, Queue

import numpy as np

PATIENCE = 120.0  # seconds until a rank that waits for others gives up


class SimulatedRanks:
    """A communicator's ranks; `messages` counts the calls of rank 0 by operation."""

    def __init__(self, size):
        self.size, self.barrier = size, threading.Barrier(size)
        self.slots, self.groups = [None] * size, {}
        self.queues = {(a, b): Queue() for a in range(size) for b in range(size)}
        self.messages, self.bytes = {}, 0

    def run(self, function):
        """Return what `function` returns of each communicator; the error of a rank that failed is raised."""
        found, errors = [None] * self.size, {}

        def work(rank):
            try:
                found[rank] = function(SimulatedCommunicator(self, rank))
            except BaseException as error:
                errors[rank] = error
                self.barrier.abort()

        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        real = [e for e in errors.values() if not isinstance(e, threading.BrokenBarrierError)]
        for error in [*real, *errors.values()]:
            raise error
        return found


class SimulatedCommunicator:
    """One of them."""

    def __init__(self, ranks, rank):
        self.ranks, self.rank, self.size = ranks, rank, ranks.size

    def _everybody(self, what, content):
        if self.rank == 0:
            self.ranks.messages[what] = self.ranks.messages.get(what, 0) + 1
        self.ranks.slots[self.rank] = what, content
        self.ranks.barrier.wait(PATIENCE)
        slots = list(self.ranks.slots)
        self.ranks.barrier.wait(PATIENCE)
        assert {name for name, _ in slots} == {what}, f"ranks call different operations: {slots}"
        return [content for _, content in slots]

    def sum(self, numbers):
        assert isinstance(numbers, np.ndarray)
        assert numbers.flags.c_contiguous
        parts = self._everybody("sum", numbers)
        assert len({(part.shape, part.dtype) for part in parts}) == 1, "ranks sum different arrays"
        if self.rank == 0:
            self.ranks.bytes += numbers.nbytes
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        return total

    def begin_sum(self, numbers):
        found = self.sum(numbers)
        return lambda: found

    def broadcast_numbers(self, numbers):
        return self._everybody("broadcast_numbers", numbers)[0].copy()

    def broadcast(self, content):
        return self._everybody("broadcast", content)[0]

    def gather(self, content):
        return self._everybody("gather", content)

    def begin_send(self, numbers, to):
        self.ranks.queues[self.rank, to].put(numbers.copy())
        return lambda: None

    def begin_receive(self, numbers, source):
        def finished():
            try:
                numbers[...] = self.ranks.queues[source, self.rank].get(timeout=PATIENCE)
            except Empty:
                raise AssertionError(f"rank {source} sent nothing to {self.rank}") from None

        return finished

    def split(self, group):
        members = [r for r, g in enumerate(self.gather(group)) if g == group]
        if members[0] == self.rank:
            self.ranks.groups[group] = SimulatedRanks(len(members))
        self._everybody("split", None)
        found = SimulatedCommunicator(self.ranks.groups[group], members.index(self.rank))
        self._everybody("split", None)
        return found

    def abort(self, status):
        self.ranks.barrier.abort()
        sys.exit(status)
