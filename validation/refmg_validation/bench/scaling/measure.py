"""Times of sums over examples: one rank alone, ranks side by side, ranks together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from refmg import Architecture, Batches, NetworkObjective, random_network
from refmg.distributed import Communicator, SerialCommunicator, Share, share_examples
from refmg_backends import Backend
from refmg_validation.bench.scaling.cost_model import MessageCost, fitted_cost

REPEATS = 51  # of sums alone: those of few bytes take microseconds, which waver
SIZES = (1, 1 << 10, 1 << 13, 1 << 16, 1 << 19, 1 << 22)  # of messages, in float32 numbers
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
    """Return the median seconds of each case, of the slowest rank each time.

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
    return {name: median(times) for name, times in found.items()}


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


def message_cost(share: Share, backend: Backend, repeats: int) -> tuple[MessageCost, list[dict[str, float]]]:
    """Return the constants of sums over ranks, as refmg makes them, and the seconds of each size."""
    division = share.division(share.communicator.size, 1)

    def summed(size: int) -> Callable[[], Any]:
        array = backend.asarray(np.ones(size, np.float32))
        return lambda: share.total(backend, [(array,)], division)

    cases = {size: summed(size) for size in SIZES}
    seconds = timed_side_by_side(share.communicator, backend, cases, max(repeats, REPEATS))
    rows = [{"bytes": 4.0 * size, "seconds": seconds[size]} for size in SIZES]
    return fitted_to(rows, share.communicator.size), rows


def fitted_to(rows: Sequence[dict[str, float]], ranks: int) -> MessageCost:
    """Return alpha and beta from sums over so many ranks."""
    sizes, seconds = [row["bytes"] for row in rows], [row["seconds"] for row in rows]
    return fitted_cost(sizes, seconds, f"measured at {ranks} ranks", ranks)


def misfit_of_sums(rows: Sequence[dict[str, float]], ranks: int) -> float:
    """Return by which part the model misses a sum, at most, from constants that were fitted to the others.

    Computing hides what sums take; here nothing does.

    Examples
    --------
    >>> rows = [{"bytes": n, "seconds": 1e-6 + 1e-9 * n} for n in (0.0, 1e3, 1e6)]
    >>> round(misfit_of_sums(rows, 2), 9)
    0.0
    """
    missed = []
    for k, row in enumerate(rows):
        cost = fitted_to([*rows[:k], *rows[k + 1 :]], ranks)
        missed.append(abs(cost.sum_seconds(row["bytes"], ranks) / row["seconds"] - 1))
    return max(missed)


def overhead_of_one(backend: Backend, work: Workload) -> dict[str, float]:
    """Return by which part sums are slower where examples are shared out to a single rank."""
    plain = work.calls(backend, work.examples, None)
    shared = work.calls(backend, work.examples, Share(SerialCommunicator()))
    cases = {
        (name, kind): calls[name] for kind, calls in (("plain", plain), ("shared", shared)) for name in calls
    }
    found = timed_side_by_side(SerialCommunicator(), backend, cases, 2 * work.repeats)
    return {name: found[name, "shared"] / found[name, "plain"] - 1 for name in OPERATIONS}
