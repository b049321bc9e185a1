"""Alpha and beta from measured sums: ranges of lengths, their constants, and what they foretell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from refmg_validation.bench.scaling.message_cost import LengthRange, MessageCost, algorithms, one_range

Rows = Sequence[dict[str, Any]]  # of sums: "bytes" and "seconds", lengths rising
MOST = 5  # ranges: short, eager and rendezvous messages, arrays beyond the caches, and on new pages
FEWEST = 4  # sums of a range: one is left out, and three leave something to be wrong about
FLOOR = 1e-3  # relative: no clock of sums is better, and made-up times without a misfit have a logarithm
CHOICES = 20  # of algorithms while constants are fitted; a few are enough


def fitted_range(rows: Rows, ranks: int, up_to: float | None = None) -> LengthRange:
    """Return the constants of sums over some ranks, of least relative misfit.

    Each sum is taken to go by the algorithm that is the cheaper one by the constants found so far, until
    they choose the same again. Of two ranks that is ``alpha + beta * bytes``.

    Examples
    --------
    >>> found = fitted_range([{"bytes": n, "seconds": 1e-6 + 1e-9 * n} for n in (8, 8000, 8_000_000)], 2)
    >>> round(1e6 * found.alpha, 6), round(1e9 * found.beta, 6)
    (1.0, 1.0)
    """
    t = np.array([row["seconds"] for row in rows], dtype=float)
    spent = np.array([algorithms(row["bytes"], ranks) for row in rows], dtype=float)
    chosen, constants = np.zeros(len(t), dtype=int), np.zeros(2)
    for _ in range(CHOICES):
        each = spent[np.arange(len(t)), chosen] / t[:, None]
        constants, before = _nonnegative(each), chosen
        chosen = np.argmin(spent @ constants, axis=1)
        if np.array_equal(chosen, before):
            break
    return LengthRange(up_to, *map(float, constants))


def _nonnegative(each: np.ndarray) -> np.ndarray:
    """Return alpha and beta of least squared misfit of ``each @ constants`` to ones, neither below 0."""
    found, *_ = np.linalg.lstsq(each, np.ones(len(each)), rcond=None)
    if min(found) >= 0:
        return np.asarray(found)
    alone = [float(column.sum() / (column @ column)) for column in each.T]
    candidates = np.array([[alone[0], 0.0], [0.0, alone[1]]])
    return np.asarray(min(candidates, key=lambda constants: float(np.sum((each @ constants - 1) ** 2))))


def found_cuts(rows: Rows, ranks: int, count: int, fewest: int = FEWEST) -> tuple[int, ...]:
    """Return where ranges of lengths begin, but for the first one: the cuts of least squared relative misfit.

    Parameters
    ----------
    rows : sequence of dict
        Sums, lengths rising.
    ranks : int
        That summed.
    count : int
        How many ranges; fewer where there are not enough sums.
    fewest : int
        Sums of a range, at least.

    Examples
    --------
    >>> sizes = [2.0**k for k in range(12)]
    >>> found_cuts([{"bytes": n, "seconds": 1 + n if n <= 32 else 9 + n / 4} for n in sizes], 2, 2)
    (6,)
    """
    m, misfit = len(rows), dict[tuple[int, int], float]()
    for i, j in combinations(range(m + 1), 2):
        misfit[i, j] = _squared_misfit(rows[i:j], ranks) if j - i >= fewest else np.inf

    def total(cuts: tuple[int, ...]) -> float:
        return sum(misfit[piece] for piece in pieces(cuts, m))

    return min(combinations(range(fewest, m), max(1, min(count, m // fewest)) - 1), key=total)


def chosen_cuts(rows: Rows, ranks: int, most: int = MOST) -> tuple[int, ...]:
    r"""Return the cuts of as many ranges as are worth their constants.

    Parameters
    ----------
    rows : sequence of dict
        Sums, lengths rising. Others than those that judge the model: where a protocol ends nobody can tell
        without the sums beside, and those that are to be foretold should have no say in it.
    ranks : int
        That summed.
    most : int
        Ranges.

    Notes
    -----
    The number k of ranges is that of least :math:`m \log(\mathrm{RSS} / m) + (3k - 1) \log m`, for m sums
    and the squared relative misfits RSS: the Bayesian information criterion (Schwarz, Ann. Statist. 6, 1978)
    with two constants a range and a limit between each two.
    """
    m = len(rows)

    def criterion(cuts: tuple[int, ...]) -> float:
        mean = sum(_squared_misfit(rows[i:j], ranks) for i, j in pieces(cuts, m)) / m
        return float(m * np.log(max(mean, FLOOR**2)) + (3 * len(cuts) + 2) * np.log(m))

    return min((found_cuts(rows, ranks, count) for count in range(1, most + 1)), key=criterion)


def pieces(cuts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Return first and last number, exclusive, of each range of so many sums.

    Examples
    --------
    >>> pieces((3,), 7)
    [(0, 3), (3, 7)]
    """
    return list(zip((0, *cuts), (*cuts, count), strict=True))


def _squared_misfit(rows: Rows, ranks: int) -> float:
    found = fitted_range(rows, ranks)
    return float(sum((_seconds(found, row, ranks) / row["seconds"] - 1) ** 2 for row in rows))


def _seconds(found: LengthRange, row: dict[str, Any], ranks: int) -> float:
    return one_range(found.alpha, found.beta, "").sum_seconds(row["bytes"], ranks)


def fitted_cost(rows: Rows, ranks: int, cuts: Sequence[int] = ()) -> MessageCost:
    """Return the constants of all ranges; one ends half way, in ratio, between two measured lengths."""
    ends = [*((rows[cut - 1]["bytes"] * rows[cut]["bytes"]) ** 0.5 for cut in cuts), None]
    parts = zip(pieces(cuts, len(rows)), ends, strict=True)
    ranges = tuple(fitted_range(rows[i:j], ranks, end) for (i, j), end in parts)
    return MessageCost(ranges, f"measured at {ranks} ranks", ranks)


def foretold(rows: Rows, ranks: int, cuts: Sequence[int] = ()) -> list[float]:
    """Return the seconds of each sum by constants that were fitted to the other sums of its range.

    Computing hides what sums take; here nothing does.

    Examples
    --------
    >>> rows = [{"bytes": n, "seconds": 1e-6 + 1e-9 * n} for n in (0.0, 1e3, 1e6)]
    >>> [round(1e6 * seconds, 6) for seconds in foretold(rows, 2)]
    [1.0, 2.0, 1001.0]
    """
    found = []
    for i, j in pieces(cuts, len(rows)):
        for k in range(i, j):
            others = [*rows[i:k], *rows[k + 1 : j]]
            found.append(_seconds(fitted_range(others, ranks), rows[k], ranks))
    return found


def misfit_of_sums(rows: Rows, ranks: int, cuts: Sequence[int] = ()) -> float:
    """Return by which part the model misses a sum, at most, that its constants were not fitted to.

    Examples
    --------
    >>> rows = [{"bytes": n, "seconds": 1e-6 + 1e-9 * n} for n in (0.0, 1e3, 1e6)]
    >>> round(misfit_of_sums(rows, 2), 9)
    0.0
    """
    pairs = zip(foretold(rows, ranks, cuts), rows, strict=True)
    return max(abs(seconds / row["seconds"] - 1) for seconds, row in pairs)
