"""What a run's series and switches say, as tables."""

from __future__ import annotations

from typing import Any

from refmg_validation.html_report.cells import is_number

Run = dict[str, Any]


def full_name(series: dict[str, Any]) -> str:
    """Return a name that is unique within the run.

    Examples
    --------
    >>> full_name({"name": "random", "group": "4 layers"})
    '4 layers: random'
    """
    group = series.get("group", "")
    return f"{group}: {series['name']}" if group else str(series["name"])


def final_numbers(run: Run) -> list[dict[str, Any]]:
    """Return the table of the last row of every series; no table without series.

    Examples
    --------
    >>> series = {"name": "fine", "columns": ["iteration", "loss"], "rows": [[0, 2.0], [1, 1.0]]}
    >>> final_numbers({"series": [series]})[0]["rows"]
    [['fine', 1, 1.0]]
    """
    last = {
        full_name(series): dict(zip(series["columns"], series["rows"][-1], strict=True))
        for series in run["series"]
        if series["rows"]
    }
    columns = list(dict.fromkeys(column for row in last.values() for column in row))
    rows = [[name, *(row.get(column) for column in columns)] for name, row in last.items()]
    return [{"title": "Numbers at the end", "columns": ["training", *columns], "rows": rows}] if rows else []


def switch_name(switch: dict[str, Any]) -> str:
    """Return between which levels a switch was."""
    return f"{switch['from']} to {switch['to']}"


def switch_measures(run: Run) -> list[dict[str, Any]]:
    """Return a table a measure: its values before and after every switch."""
    measures = dict.fromkeys(name for s in run["switches"] for name in [*s["before"], *s["after"]])
    return [_sides(run, measure) for measure in measures]


def _sides(run: Run, measure: str) -> dict[str, Any]:
    rows = [
        [switch_name(switch), switch["before"].get(measure), switch["after"].get(measure)]
        for switch in run["switches"]
    ]
    columns = ["switch", f"before_{measure}", f"after_{measure}"]
    return {"title": f"{measure} before and after every switch", "columns": columns, "rows": rows}


def switch_items(switch: dict[str, Any]) -> dict[str, Any]:
    """Return the table of what was moved, restarted or kept."""
    rows = [[item["what"], item["fate"], item["how"]] for item in switch["items"]]
    return {"title": "What became of it", "columns": ["what", "fate", "how"], "rows": rows}


def switch_norms(switch: dict[str, Any]) -> dict[str, Any]:
    """Return the table of norms before and after, and their growth.

    Examples
    --------
    >>> switch_norms({"norms": [{"what": "stencils", "before": 2.0, "after": 3.0}]})["rows"]
    [['stencils', 2.0, 3.0, 1.5]]
    """
    rows = [[n["what"], n.get("before"), n.get("after"), _growth(n)] for n in switch["norms"]]
    return {"title": "Norms", "columns": ["what", "before", "after", "growth"], "rows": rows}


def _growth(norm: dict[str, Any]) -> float | None:
    old, new = norm.get("before"), norm.get("after")
    return new / old if is_number(old) and is_number(new) and old else None
