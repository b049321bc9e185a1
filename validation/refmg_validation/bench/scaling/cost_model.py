"""The alpha-beta model: what a sum over ranks costs, and what part of a run that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, log2
from typing import Any

import numpy as np

CHOICES = 20  # of algorithms while constants are fitted; a few are enough


@dataclass(frozen=True)
class MessageCost:
    r"""Seconds that sums over ranks take.

    Parameters
    ----------
    alpha : float
        Seconds of a message of no length between two ranks.
    beta : float
        Seconds a byte.
    source : str
        Where the numbers come from.

    Notes
    -----
    The cheaper of two algorithms: recursive doubling,
    :math:`\lceil\log_2 N\rceil (\alpha + n\beta)`, and a reduction scattered over the ranks and gathered,
    :math:`2\lceil\log_2 N\rceil \alpha + 2 \frac{N-1}{N} n \beta` (Thakur, Rabenseifner and Gropp, Int. J.
    High Perform. Comput. Appl. 19, 2005).

    Examples
    --------
    >>> cost = MessageCost(1e-6, 1e-9, "an example")
    >>> [round(1e6 * cost.sum_seconds(8000, ranks), 3) for ranks in (1, 2, 1024)]
    [0.0, 9.0, 35.984]
    """

    alpha: float
    beta: float
    source: str

    def sum_seconds(self, size: float, ranks: int) -> float:
        """Return the seconds of one sum of `size` bytes over all ranks."""
        return min(a * self.alpha + b * self.beta for a, b in algorithms(size, ranks))


def algorithms(size: float, ranks: int) -> tuple[tuple[float, float], ...]:
    """Return for each algorithm how often alpha and beta are spent: recursive doubling, scattered reduction.

    Examples
    --------
    >>> algorithms(8, 2), algorithms(8, 1024)
    (((1, 8), (2, 8.0)), ((10, 80), (20, 15.984375)))
    """
    rounds = ceil(log2(ranks))
    return (rounds, rounds * size), (2 * rounds, 2 * (ranks - 1) / ranks * size)


# No measurement: latency of a small reduction between GPUs of several nodes; InfiniBand NDR, 400 Gb/s a GPU.
NOMINAL = MessageCost(1e-5, 1 / 50e9, "nominal: 10 microseconds, 50 GB/s a GPU")


def fitted_cost(sizes: Sequence[float], seconds: Sequence[float], source: str, ranks: int = 2) -> MessageCost:
    """Return the constants of sums over some ranks, of least relative misfit.

    Each sum is taken to go by the algorithm that is the cheaper one by the constants found so far, until
    they choose the same again. Of two ranks that is ``alpha + beta * bytes``.

    Examples
    --------
    >>> cost = fitted_cost([8, 8000, 8_000_000], [1e-6 + 1e-9 * n for n in (8, 8000, 8_000_000)], "made up")
    >>> round(1e6 * cost.alpha, 6), round(1e9 * cost.beta, 6)
    (1.0, 1.0)
    """
    t = np.asarray(seconds, dtype=float)
    spent = np.array([algorithms(size, ranks) for size in sizes], dtype=float)
    chosen, cost = np.zeros(len(t), dtype=int), MessageCost(0.0, 0.0, source)
    for _ in range(CHOICES):
        rows = spent[np.arange(len(t)), chosen] / t[:, None]
        found, *_ = np.linalg.lstsq(rows, np.ones_like(t), rcond=None)
        alpha, beta = (max(float(number), 0.0) for number in found)
        cost, before = MessageCost(alpha, beta, source), chosen
        chosen = np.argmin(spent @ np.array([alpha, beta]), axis=1)
        if np.array_equal(chosen, before):
            break
    return cost


@dataclass(frozen=True)
class Phase:
    """A part of a run: sums over examples, each followed by a sum over ranks.

    Parameters
    ----------
    name : str
    count : float
        How many sums.
    examples : int
        In each.
    per_example, fixed : float
        Seconds that a rank computes for an example, and for a sum whatever the examples.
    size : int
        Bytes of the message.
    """

    name: str
    count: float
    examples: int
    per_example: float
    fixed: float
    size: int

    def compute(self, ranks: int) -> float:
        """Return the seconds that the rank with most examples computes."""
        return self.count * (self.fixed + self.per_example * ceil(self.examples / ranks))

    def communicate(self, ranks: int, cost: MessageCost) -> float:
        """Return the seconds that messages take."""
        return self.count * cost.sum_seconds(self.size, ranks)


def communication_share(phases: Sequence[Phase], ranks: int, cost: MessageCost) -> float:
    """Return which part of the time is communication.

    Examples
    --------
    >>> phase = Phase("gradient", 1, 1000, 1e-3, 0.0, 10**6)
    >>> [round(communication_share([phase], n, MessageCost(1e-6, 1e-9, "")), 4) for n in (1, 10, 100)]
    [0.0, 0.0178, 0.1662]
    """
    said = sum(phase.communicate(ranks, cost) for phase in phases)
    return said / (said + sum(phase.compute(ranks) for phase in phases))


def ranks_at(share: float, phases: Sequence[Phase], cost: MessageCost, most: int = 1 << 20) -> int | None:
    """Return the least number of ranks with which communication takes at least this part; None beyond `most`.

    Examples
    --------
    >>> ranks_at(0.1, [Phase("gradient", 1, 1000, 1e-3, 0.0, 10**6)], MessageCost(1e-6, 1e-9, ""))
    59
    """
    low, high = 1, 2
    while communication_share(phases, high, cost) < share:
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if communication_share(phases, middle, cost) < share else (low, middle)
    return high


def weak(phases: Sequence[Phase], ranks: int) -> list[Phase]:
    """Return the phases of a run with as many examples a rank as these have in all."""
    return [Phase(**(asdict(phase) | {"examples": phase.examples * ranks})) for phase in phases]


def curve(phases: Sequence[Phase], cost: MessageCost, ranks: Sequence[int]) -> dict[str, Any]:
    """Return seconds, shares of communication and the point of 10 %, ready for JSON."""
    return {
        "cost": asdict(cost),
        "ranks": list(ranks),
        "seconds": [sum(p.compute(n) + p.communicate(n, cost) for p in phases) for n in ranks],
        "share": [communication_share(phases, n, cost) for n in ranks],
        "weak share": [communication_share(weak(phases, n), n, cost) for n in ranks],
        "ranks at 10 %": ranks_at(0.1, phases, cost),
    }
