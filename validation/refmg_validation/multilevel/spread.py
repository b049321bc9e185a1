"""Rows of several seeds put together."""

from __future__ import annotations

from typing import Any

import numpy as np


def over_seeds(tables: list[list[dict[str, Any]]], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows of one table with mean, spread and values over seeds in place of each number.

    Parameters
    ----------
    tables : list of list of dict
        One a seed; a row that a seed has not, as its run has not ended, is left out of the mean.
    keys : tuple of str
        Columns that name a row; all others are numbers, or None where there is none.

    Examples
    --------
    >>> tables = [[{"layers": 4, "work": 1.0}], [{"layers": 4, "work": None}]]
    >>> over_seeds(tables, ("layers",))
    [{'layers': 4, 'work': {'mean': 1.0, 'spread': None, 'values': [1.0, None]}}]
    """
    alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in (row for table in tables for row in table):
        alike.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [
        {key: rows[0][key] for key in keys}
        | {name: _spread([row[name] for row in rows]) for name in rows[0] if name not in keys}
        for rows in alike.values()
    ]


def _spread(values: list[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    mean = float(np.mean(known)) if known else None
    # One value has no spread.
    spread = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": mean, "spread": spread, "values": values}


def words(score: dict[str, Any], scale: float = 1.0, digits: int = 2) -> str:
    """Return mean and spread as text, and of how many seeds where it is not all.

    Examples
    --------
    >>> words({"mean": 0.5, "spread": None, "values": [0.5, None]}, 100, 1)
    '50.0 (1 of 2)'
    """
    if score["mean"] is None:
        return "-"
    known = sum(value is not None for value in score["values"])
    spread = "" if score["spread"] is None else f" +- {scale * score['spread']:.{digits}f}"
    some = "" if known == len(score["values"]) else f" ({known} of {len(score['values'])})"
    return f"{scale * score['mean']:.{digits}f}{spread}{some}"
