"""Mean and spread of the study of starts over its seeds, as a table and as a plot."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

RANDOM = "random"
SHOWN = ("moved", 0, 1, 2, 5)
MEASURES = ("loss", "validation", "test")
# By level and start: a row a number of iterations.
Found = dict[str, dict[str, list[dict[str, Any]]]]


def over_seeds(runs: list[Found]) -> Found:
    """Return means, and spreads (the standard deviation of a sample) where there are several seeds.

    Examples
    --------
    >>> runs = [{"fine": {"random": [{"after": 0, "test": test}]}} for test in (0.5, 0.75)]
    >>> over_seeds(runs)["fine"]["random"][0]["test"]
    0.625
    """
    first = runs[0]
    return {
        level: {
            name: [_one(rows) for rows in zip(*(run[level][name] for run in runs), strict=True)]
            for name in first[level]
        }
        for level in first
    }


def _one(rows: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    found = {"after": rows[0]["after"]}
    for name in (name for name in MEASURES if name in rows[0]):
        values = np.array([row[name] for row in rows])
        found[name] = float(values.mean())
        if len(rows) > 1:
            found[f"{name}_spread"] = float(values.std(ddof=1))
    return found


def study_table(found: Found) -> Table:
    """Return test accuracies in % after the iterations that are asked about."""
    table = Table(title="Test accuracy in % after so many iterations (0: the classifier alone)")
    for name in ("images", "start", *map(str, SHOWN)):
        table.add_column(name, justify="left" if name in ("images", "start") else "right")
    for level, by_name in found.items():
        for name, rows in by_name.items():
            by_number = {row["after"]: _percent(row) for row in rows}
            table.add_row(level, name, *(by_number.get(n, "") for n in SHOWN))
    return table


def _percent(row: dict[str, Any]) -> str:
    mean = f"{100 * row['test']:.2f}"
    return f"{mean} +- {100 * row['test_spread']:.2f}" if "test_spread" in row else mean


def draw_starts(found: Found) -> Figure:
    """Draw test error against iterations, a line a start, coarse and fine images side by side."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, (level, by_name) in zip(figure.subplots(1, 2), found.items(), strict=True):
        for name, rows in by_name.items():
            style = {"color": "black", "linestyle": "--"} if name == RANDOM else {}
            places = np.arange(len(rows)) - 1
            mean = np.array([100 * (1 - row["test"]) for row in rows])
            (line,) = axes.semilogy(places, mean, marker=".", label=name, **style)
            spread = np.array([100 * row.get("test_spread", 0.0) for row in rows])
            # A logarithmic axis has no place for what is not positive.
            low = np.maximum(mean - spread, mean / 10)
            axes.fill_between(places, low, mean + spread, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.set_xticks(places, ["moved", *range(len(rows) - 1)])
        axes.set_xlabel("iterations of block coordinate descent (0: the classifier alone)")
        axes.set_title(f"{level} images")
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("test error in %")
    figure.axes[1].legend(fontsize="small")
    return figure
