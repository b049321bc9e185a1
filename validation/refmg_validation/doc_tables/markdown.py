"""Numbers and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table.

    Examples
    --------
    >>> table(["way", "accuracy"], [["none", "10.0"]])
    ['| way | accuracy |', '|---|---|', '| none | 10.0 |']
    """
    lines = [head, *rows]
    made = [f"| {' | '.join(line)} |" for line in lines]
    return [made[0], "|" + "---|" * len(head), *made[1:]]


def percent(fraction: float) -> str:
    """Return a fraction in %.

    Examples
    --------
    >>> percent(0.9125)
    '91.2'
    """
    return f"{100 * fraction:.1f}"


def plus_minus(mean: float, spread: float | None) -> str:
    """Return a fraction in % with its spread, where there is one, on one line of any table.

    Examples
    --------
    >>> plus_minus(0.9125, 0.01).split(), plus_minus(0.9125, None)
    (['91.2', '±', '1.0'], '91.2')
    """
    return percent(mean) + ("" if spread is None else f"\u00a0±\u00a0{percent(spread)}")


def both(row: dict[str, Any], ending: str = "") -> str:
    """Return the accuracies on coarse and on fine images.

    Examples
    --------
    >>> both({"coarse": 0.5, "fine": 0.75})
    '50.0 / 75.0'
    """
    return " / ".join(percent(row[f"{level}{ending}"]) for level in ("coarse", "fine"))


def points(differences: Iterable[float]) -> str:
    """Return the least and the largest of some gains, in points.

    Examples
    --------
    >>> points([0.002, 0.024, 0.01]), points([0.01])
    ('0.2 to 2.4 points', '1.0 points')
    """
    shown = sorted({f"{100 * d:.1f}" for d in differences}, key=float)
    return f"{shown[0]} to {shown[-1]} points" if len(shown) > 1 else f"{shown[0]} points"


def paragraph(*sentences: str) -> list[str]:
    """Return sentences, a line each, after an empty line."""
    return ["", *sentences]
