"""What was found beside what is to be reached: medians of repetitions, and how far these lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from refmg_backends import RefmgError

TARGETS = {"weak against side by side": 0.9, "overhead of one rank": 0.02, "misfit": 0.15}
JUDGED = {"weak against side by side": ">=", "misfit": "<="}  # of an operation


def medians(found: Sequence[Any]) -> Any:
    """Return the medians of numbers that lie at the same place of each repetition's result.

    A ratio is that of the repetition, whose times were taken one after the other, and not one of medians.

    Examples
    --------
    >>> medians([{"what": "sum", "seconds": {"weak": n}} for n in (3.0, 9.0, 4.0)])
    {'what': 'sum', 'seconds': {'weak': 4.0}}
    """
    first = found[0]
    if isinstance(first, dict):
        return {key: medians([each[key] for each in found]) for key in first}
    return median(found) if isinstance(first, float) else first


def spread(found: Sequence[dict[str, Any]], names: Iterable[str]) -> dict[str, list[float]]:
    """Return least and largest of some numbers over the repetitions.

    Examples
    --------
    >>> spread([{"misfit": n} for n in (0.02, 0.09, 0.01)], ["misfit"])
    {'misfit': [0.01, 0.09]}
    """
    each = {name: [one[name] for one in found if name in one] for name in names}
    return {name: [min(values), max(values)] for name, values in each.items() if values}


def judged(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was found beside what is to be reached.

    Raises
    ------
    RefmgError
        If there is nothing to judge.
    """
    rows = []
    for name, part in result["overhead of one rank"].items():
        between = result.get("spread of the overhead", {}).get(name)
        aim = TARGETS["overhead of one rank"]
        rows.append(_row(f"overhead of one rank, {name}", part, "<=", aim, between))
    for row in result.get("scaling", []):
        for what, sign in JUDGED.items():
            between = row.get("spread", {}).get(what)
            rows.append(_row(f"{what}, {row['operation']}", row[what], sign, TARGETS[what], between))
    if "misfit of sums" in result:
        what = "misfit, sums alone, each left out of the fit"
        rows.append(_row(what, result["misfit of sums"], "<=", TARGETS["misfit"]))
    if not rows:
        raise RefmgError("found no measurement; expected operations that were timed")
    return rows


def _row(
    what: str, found: float, sign: str, aim: float, between: list[float] | None = None
) -> dict[str, Any]:
    def reaches(value: float) -> bool:
        return value <= aim if sign == "<=" else value >= aim

    row = {"what": what, "found": found, "to reach": f"{sign} {aim}", "reached": reaches(found)}
    if between is None:
        return row
    return row | {"spread": between, "always": reaches(between[0]) == reaches(between[1])}


def found_in_words(row: dict[str, Any]) -> tuple[str, str]:
    """Return what was found, with the spread of repetitions, and whether that reaches the target.

    Examples
    --------
    >>> found_in_words({"found": 0.01, "reached": True})
    ('0.010', 'reached')
    >>> found_in_words({"found": 0.01, "reached": True, "spread": [0.005, 0.04], "always": False})
    ('0.010 (0.005 to 0.040)', 'reached by the median')
    """
    words = "reached" if row["reached"] else "missed"
    if "spread" not in row:
        return f"{row['found']:.3f}", words
    low, high = row["spread"]
    return f"{row['found']:.3f} ({low:.3f} to {high:.3f})", words + (
        "" if row["always"] else " by the median"
    )
