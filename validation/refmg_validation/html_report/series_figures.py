"""Which lines share which axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from refmg_validation.html_report.cells import as_float
from refmg_validation.html_report.panels import Line, Panel, draw_panel


@dataclass(frozen=True)
class Group:
    """The panels of one group of series."""

    name: str
    panels: list[Panel]


def groups_of(*runs: dict[str, Any]) -> list[Group]:
    """Draw the series of one run, or of two in common axes.

    Parameters
    ----------
    *runs : dict
        One record, or two: the lines of the second are dashed.

    Returns
    -------
    list of Group
        In the order in which they first appear; a panel a column.
    """
    names = dict.fromkeys(series.get("group", "") for run in runs for series in run["series"])
    found = [Group(name, _panels(name, runs)) for name in names]
    return [group for group in found if group.panels]


def _panels(group: str, runs: tuple[dict[str, Any], ...]) -> list[Panel]:
    chosen = [
        (number, series)
        for number, run in enumerate(runs)
        for series in run["series"]
        if series.get("group", "") == group
    ]
    looks = {name: look for look, name in enumerate(dict.fromkeys(series["name"] for _, series in chosen))}
    lines: dict[tuple[str, str], list[Line]] = {}
    for number, series in chosen:
        label = f"{'AB'[number]}: {series['name']}" if len(runs) > 1 else series["name"]
        for column in series["columns"]:
            line = _line(series, column, label, looks[series["name"]], number == 1)
            if column != series["x"] and any(isfinite(y) for y in line.y):
                lines.setdefault((series["x"], column), []).append(line)
    return [draw_panel(found, x, column) for (x, column), found in lines.items()]


def _line(series: dict[str, Any], column: str, label: str, look: int, dashed: bool) -> Line:
    at, over = series["columns"].index(column), series["columns"].index(series["x"])
    x = [as_float(row[over]) for row in series["rows"]]
    y = [as_float(row[at]) for row in series["rows"]]
    return Line(label, x, [value if isfinite(value) else nan for value in y], look, dashed)
