"""Figure 2 of the paper drawn anew, and accuracy against cost along the paths of the pyramid."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from refmg_validation.multilevel.costs import iterations_on, with_costs
from refmg_validation.multilevel.paths import PROLONGED, RANDOM, SHORT

COLORS = {RANDOM: "tab:blue", PROLONGED: "tab:red", SHORT: "tab:orange"}
PATH_COLORS = ("k", "tab:gray", "tab:red", "tab:orange", "tab:blue", "tab:cyan", "tab:green", "tab:olive")
MEASURES = (("loss", "training loss"), ("validation", "validation accuracy in %"))


def draw_depth(results: list[dict[str, Any]]) -> Figure:
    """Draw loss and validation accuracy by iteration: a column a depth, a line a seed and start."""
    depths = _depths(results)
    figure = Figure(figsize=(3.2 * len(depths), 5.6), layout="constrained")
    panels = figure.subplots(2, len(depths), sharex=True, sharey="row", squeeze=False)
    for column, depth in enumerate(depths):
        for (key, label), axes in zip(MEASURES, panels[:, column], strict=True):
            _draw_starts(axes, results, depth, key)
            axes.grid(alpha=0.3)
            if column == 0:
                axes.set_ylabel(label)
        panels[0, column].set_title(f"{depth} layers")
        panels[0, column].set_yscale("log")
        panels[1, column].set_xlabel("iteration")
        panels[1, column].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[1, -1].legend(loc="lower right", fontsize="small")
    return figure


def _depths(results: list[dict[str, Any]]) -> list[int]:
    """Return the depths of random starts; before one has ended, all that were trained."""
    paths = {name: records for found in results for name, records in found["records"].items()}
    random = [int(name.removeprefix(RANDOM)) for name in paths if name.startswith(RANDOM)]
    steps = (row for records in paths.values() for row in records if row["kind"] == "iteration")
    return sorted(random or {row["layers"] for row in steps})


def _draw_starts(axes: Axes, results: list[dict[str, Any]], depth: int, key: str) -> None:
    for start, color in COLORS.items():
        name, label = f"{RANDOM} {depth}" if start == RANDOM else start, start
        for found in results:
            records = found["records"].get(name)
            if records is None:
                continue
            rows = iterations_on(records, found["largest"].shape, depth)
            scale = 100 if key == "validation" else 1
            values = [scale * row[key] for row in rows]
            look: dict[str, Any] = {"color": color, "alpha": 0.8, "markersize": 4}
            axes.plot([row["iteration"] for row in rows], values, ".-", label=label, **look)
            label = "_again"  # an underscore keeps a line out of the legend


def draw_pyramid(results: list[dict[str, Any]]) -> Figure:
    """Draw validation accuracy against seconds and against work, a line a path; dots are the last level."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, key, label in zip(
        panels, ("elapsed", "total_work"), ("seconds", "work, in passes of the fine network"), strict=True
    ):
        colors = dict(zip(dict.fromkeys(n for r in results for n in r["records"]), cycle(PATH_COLORS)))
        named = set[str]()
        for found in results:
            for name in found["records"]:
                _draw_path(axes, found, (name, key, colors[name]), label=name not in named)
                named.add(name)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("validation accuracy in %")
    panels[0].legend(loc="lower right", fontsize="small")
    return figure


def _draw_path(axes: Axes, found: dict[str, Any], what: tuple[str, str, str], label: bool) -> None:
    name, key, color = what
    largest = found["largest"]
    rows = with_costs(found["records"][name], largest, found["data"]["train"])
    steps = [row for row in rows if row["kind"] == "iteration"]
    last = iterations_on(rows, largest.shape, largest.layers)
    for chosen, style in ((steps, "-"), (last, "o")):
        x, y = np.array([[row[key], 100 * row["validation"]] for row in chosen]).T
        named = name if label and style == "o" else None
        axes.plot(x, y, style, color=color, markersize=4, alpha=0.8, label=named)
