"""What a sum over ranks costs: alpha and beta of each range of lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil, inf, log2
from typing import Any


@dataclass(frozen=True)
class LengthRange:
    """The constants of sums of some lengths.

    Parameters
    ----------
    up_to : float or None
        Bytes; shorter ones may belong to the range before. None for the last range, which has no end.
    alpha : float
        Seconds of a message of no length between two ranks.
    beta : float
        Seconds a byte.
    """

    up_to: float | None
    alpha: float
    beta: float


@dataclass(frozen=True)
class MessageCost:
    r"""Seconds that sums over ranks take.

    Parameters
    ----------
    ranges : tuple of LengthRange
        Rising.
    source : str
        Where the numbers come from.
    measured : int
        Ranks that summed; of so many the constants tell the sums as they are.

    Notes
    -----
    The cheaper of two algorithms: recursive doubling,
    :math:`\lceil\log_2 N\rceil (\alpha + n\beta)`, and a reduction scattered over the ranks and gathered,
    :math:`2\lceil\log_2 N\rceil \alpha + 2 \frac{N-1}{N} n \beta` (Thakur, Rabenseifner and Gropp, Int. J.
    High Perform. Comput. Appl. 19, 2005).

    A message library sends short, eager and rendezvous messages in different ways, and each has an alpha and
    a beta of its own (as in Bienz, Gropp and Olson, EuroMPI 2018, arXiv:1806.02030); caches and pages of
    memory add limits of theirs. Here all of these are told from sums: a range is one of lengths n of the sum.

    Of more ranks than were measured, each message is costed by the range of its own length: of the scattered
    reduction they are n/2, n/4, .. there and back. Two things are not taken to get better by that. A byte
    takes at least as long as in the range of the whole sum, whose array is in memory where it was measured.
    And no message begins quicker than a shorter one: the alpha of long sums is that of a line through large
    times, and may come out 0.

    Examples
    --------
    >>> cost = MessageCost((LengthRange(8192, 1e-6, 1e-9), LengthRange(None, 5e-6, 5e-10)), "an example")
    >>> [round(1e6 * cost.sum_seconds(8000, ranks), 3) for ranks in (1, 2, 1024)]
    [0.0, 9.0, 35.984]
    >>> round(1e6 * cost.sum_seconds(16_000, 2), 3)
    13.0
    >>> [(r.alpha, r.beta) for r in (cost.message(16_000, 16_000), cost.message(8000, 16_000))]
    [(5e-06, 5e-10), (1e-06, 1e-09)]
    """

    ranges: tuple[LengthRange, ...]
    source: str
    measured: int = 2

    def range_of(self, size: float) -> LengthRange:
        """Return the range of `size` bytes."""
        return next(r for r in self.ranges if size <= (inf if r.up_to is None else r.up_to))

    def message(self, size: float, whole: float) -> LengthRange:
        """Return the constants of a message of `size` bytes that is a piece of a sum of `whole` ones."""
        own = self.range_of(size)
        alpha = max(r.alpha for r in self.ranges[: self.ranges.index(own) + 1])
        return LengthRange(own.up_to, alpha, max(own.beta, self.range_of(whole).beta))

    def sum_seconds(self, size: float, ranks: int) -> float:
        """Return the seconds of one sum of `size` bytes over all ranks."""
        if ranks <= self.measured:
            found = self.range_of(size)
            return min(a * found.alpha + b * found.beta for a, b in algorithms(size, ranks))
        doubling, scattered = [size] * rounds_of(ranks), 2 * pieces_of(size, ranks)
        return min(self._seconds(sizes, size) for sizes in (doubling, scattered))

    def _seconds(self, sizes: Sequence[float], whole: float) -> float:
        found = [(self.message(size, whole), size) for size in sizes]
        return sum(r.alpha + r.beta * size for r, size in found)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "ranges": [asdict(r) for r in self.ranges],
            "source": self.source,
            "measured": self.measured,
        }


def cost_of(found: dict[str, Any]) -> MessageCost:
    """Return the cost that a record has.

    Examples
    --------
    >>> cost_of(NOMINAL.as_dict()) == NOMINAL
    True
    """
    ranges = tuple(LengthRange(**r) for r in found["ranges"])
    return MessageCost(ranges, found["source"], found.get("measured", 2))


def rounds_of(ranks: int) -> int:
    """Return how often all ranks must talk in pairs until each knows of all."""
    return ceil(log2(ranks))


def pieces_of(size: float, ranks: int) -> list[float]:
    """Return the lengths of the messages that scatter a sum: halves of halves, until each rank has its part.

    Examples
    --------
    >>> pieces_of(8, 4), pieces_of(6, 3)
    ([4.0, 2.0], [3.0, 1.0])
    """
    left = [max(size / 2**k, size / ranks) for k in range(rounds_of(ranks) + 1)]
    return [before - after for before, after in pairwise(left)]


def algorithms(size: float, ranks: int) -> tuple[tuple[float, float], ...]:
    """Return for each algorithm how often alpha and beta are spent: recursive doubling, scattered reduction.

    Examples
    --------
    >>> algorithms(8, 2), algorithms(8, 1024)
    (((1, 8), (2, 8.0)), ((10, 80), (20, 15.984375)))
    """
    rounds = rounds_of(ranks)
    return (rounds, rounds * size), (2 * rounds, 2 * (ranks - 1) / ranks * size)


def one_range(alpha: float, beta: float, source: str) -> MessageCost:
    """Return the cost of sums of which all lengths have the same constants."""
    return MessageCost((LengthRange(None, alpha, beta),), source)


def in_words(ranges: Sequence[dict[str, Any]]) -> str:
    """Return the constants of ranges, as a record has them.

    Examples
    --------
    >>> short, long = LengthRange(8192, 9e-5, 6e-10), LengthRange(None, 2e-4, 5e-10)
    >>> in_words([asdict(short), asdict(long)])
    'up to 8.19 kB 90.0 microseconds and 1.67 GB/s, beyond 200.0 microseconds and 2.00 GB/s'
    """
    words = list[str]()
    for r in ranges:
        end = r.get("up_to")
        speed = f"{1e-9 / r['beta']:.2f} GB/s" if r["beta"] else "no time a byte"
        length = f"up to {in_bytes(end)}" if end is not None else "beyond" if words else "of any length"
        words.append(f"{length} {1e6 * r['alpha']:.1f} microseconds and {speed}")
    return ", ".join(words)


def in_bytes(size: float) -> str:
    """Return a length with its unit.

    Examples
    --------
    >>> in_bytes(4), in_bytes(8192), in_bytes(2**27)
    ('4 bytes', '8.19 kB', '134 MB')
    """
    name, unit = next(((n, u) for n, u in (("MB", 1e6), ("kB", 1e3)) if size >= u), ("bytes", 1))
    return f"{size / unit:.3g} {name}"


# No measurement: latency of a small reduction between GPUs of several nodes; InfiniBand NDR, 400 Gb/s a GPU.
NOMINAL = one_range(1e-5, 1 / 50e9, "nominal: 10 microseconds, 50 GB/s a GPU")
