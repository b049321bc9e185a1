"""What part of a run communication takes, by the alpha-beta model of its sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from refmg_validation.bench.scaling.message_cost import MessageCost


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
    >>> from refmg_validation.bench.scaling.message_cost import one_range
    >>> phase = Phase("gradient", 1, 1000, 1e-3, 0.0, 10**6)
    >>> [round(communication_share([phase], n, one_range(1e-6, 1e-9, "")), 4) for n in (1, 10, 100)]
    [0.0, 0.0178, 0.1662]
    """
    said = sum(phase.communicate(ranks, cost) for phase in phases)
    return said / (said + sum(phase.compute(ranks) for phase in phases))


def ranks_at(share: float, phases: Sequence[Phase], cost: MessageCost, most: int = 1 << 20) -> int | None:
    """Return the least number of ranks with which communication takes at least this part; None beyond `most`.

    Examples
    --------
    >>> from refmg_validation.bench.scaling.message_cost import one_range
    >>> ranks_at(0.1, [Phase("gradient", 1, 1000, 1e-3, 0.0, 10**6)], one_range(1e-6, 1e-9, ""))
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
        "cost": cost.as_dict(),
        "ranks": list(ranks),
        "seconds": [sum(p.compute(n) + p.communicate(n, cost) for p in phases) for n in ranks],
        "share": [communication_share(phases, n, cost) for n in ranks],
        "weak share": [communication_share(weak(phases, n), n, cost) for n in ranks],
        "ranks at 10 %": ranks_at(0.1, phases, cost),
    }
