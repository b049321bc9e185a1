"""Times of sums over examples: one rank alone, ranks side by side, ranks together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from refmg import Architecture, Batches, NetworkObjective, random_network
from refmg.distributed import Communicator, SerialCommunicator, Share, share_examples
from refmg_backends import Backend

Sums = list[dict[str, float]]
ROUNDS = 102, 10  # of sums alone: those of few bytes take microseconds, which waver; for a quick look
ROOTS = 50, 36  # of 2, from the shortest sum of 4 bytes: to 128 MB, more than ResNet-34's gradient; to 1 MB
KEPT = 31 << 18  # float32 numbers, 31 MB
OPERATIONS = ("gradient", "Gauss-Newton product")


@dataclass(frozen=True)
class Workload:
    """A residual network, and as many random images a rank.

    Parameters
    ----------
    examples, grid, channels, layers : int
        Images a rank; the network's sizes.
    repeats : int
        Of every measurement.
    """

    examples: int = 1024
    grid: int = 28
    channels: int = 8
    layers: int = 16
    repeats: int = 9

    def network(self, backend: Backend) -> Any:
        """Return a random network."""
        n = self.grid
        return random_network(
            Architecture((n, n), channels=self.channels, layers=self.layers, classes=10),
            0,
            backend,
            "float32",
        )

    def images(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return random images and labels."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(1, self.grid, self.grid, count)).astype("float32")
        return x, rng.integers(0, 10, count)

    def calls(self, backend: Backend, count: int, share: Share | None) -> dict[str, Callable[[], Any]]:
        """Return the operations on so many images, shared out or not."""
        network, (x, labels) = self.network(backend), self.images(count)
        given: Any = x if share is None else share_examples(x, share)
        objective = NetworkObjective(network, Batches(given, labels, 10, 128, backend, "float32"))
        vector = objective.vector(network)
        product = objective.gauss_newton(vector)
        return {
            OPERATIONS[0]: lambda: objective.value_and_gradient(vector),
            OPERATIONS[1]: lambda: product(vector),
        }


def timed_side_by_side(
    communicator: Communicator, backend: Backend, cases: dict[Any, Callable[[], Any]], repeats: int
) -> dict[Any, float]:
    """Return the median seconds of each case, of the slowest rank each time."""
    found = timed_rounds(communicator, backend, cases, repeats)
    return {name: median(times) for name, times in found.items()}


def timed_rounds(
    communicator: Communicator, backend: Backend, cases: dict[Any, Callable[[], Any]], repeats: int
) -> dict[Any, list[float]]:
    """Return the seconds of each case in every round, of the slowest rank.

    All ranks begin a case together, and cases follow each other in every round, so that what disturbs a
    machine for a while disturbs all of them.
    """
    found: dict[Any, list[float]] = {name: [] for name in cases}
    for repeat in range(repeats + 1):
        for name, call in cases.items():
            communicator.gather(None)
            start = perf_counter()
            call()
            backend.synchronize()
            slowest = max(communicator.gather(perf_counter() - start))
            if repeat:  # the first round compiles
                found[name].append(slowest)
    return found


def alone(communicator: Any, backend: Backend, work: Workload) -> dict[str, float]:
    """Return the seconds of the operations on one rank while the others sleep."""
    found: dict[str, float] = {}
    if communicator.rank == 0:
        calls = work.calls(backend, work.examples, None)
        found = timed_side_by_side(SerialCommunicator(), backend, calls, work.repeats)
    # A rank that waits in a message library keeps its processor busy; this one looks now and then.
    if hasattr(communicator, "all_arrive"):
        assert communicator.all_arrive(3600.0)
    return dict(communicator.broadcast(found))


def sum_sizes(quick: bool = False) -> list[int]:
    """Return the lengths of sums, in float32 numbers, rising by the root of 2: several for every range.

    Examples
    --------
    >>> sum_sizes()[:4], sum_sizes()[-2:], len(sum_sizes())
    ([1, 2, 3, 4], [23726566, 33554432], 50)
    """
    return sorted({round(2 ** (k / 2)) for k in range(ROOTS[quick] + 1)})


def timed_sums(share: Share, backend: Backend, quick: bool = False) -> tuple[Sums, Sums]:
    """Return bytes and median seconds of sums over ranks, as refmg makes them, in odd and in even rounds.

    They are timed from the longest to the shortest, so that none finds the caches as a much longer one left
    them.
    """
    division, sizes = share.division(share.communicator.size, 1), sum_sizes(quick)
    longest = backend.asarray(np.ones(sizes[-1], np.float32))

    def summed(size: int) -> Callable[[], Any]:
        return lambda: share.total(backend, [(longest[:size],)], division)

    _free_a_large_array()
    cases = {size: summed(size) for size in reversed(sizes)}
    found = timed_rounds(share.communicator, backend, cases, ROUNDS[quick])

    def medians(first: int) -> Sums:
        return [{"bytes": 4.0 * size, "seconds": median(found[size][first::2])} for size in sizes]

    return medians(0), medians(1)


def _free_a_large_array() -> None:
    """Leave the memory's management as every training does, whatever was measured before.

    The C library gives large arrays back to the system at once, and their pages cost time when the next one
    comes, until it has seen a large one freed (glibc: of up to 32 MB).
    """
    np.ones(KEPT, np.float32)


def overhead_of_one(backend: Backend, work: Workload) -> dict[str, float]:
    """Return by which part sums are slower where examples are shared out to a single rank."""
    plain = work.calls(backend, work.examples, None)
    shared = work.calls(backend, work.examples, Share(SerialCommunicator()))
    cases = {
        (name, kind): calls[name] for kind, calls in (("plain", plain), ("shared", shared)) for name in calls
    }
    found = timed_side_by_side(SerialCommunicator(), backend, cases, 2 * work.repeats)
    return {name: found[name, "shared"] / found[name, "plain"] - 1 for name in OPERATIONS}
