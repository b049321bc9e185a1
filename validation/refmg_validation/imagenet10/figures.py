"""Figure 3 drawn anew: validation accuracy and loss against seconds and epochs."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from refmg_validation.imagenet10.presets import ImageNetPreset
from refmg_validation.imagenet10.stages import FINE, Stage, paths_of
from refmg_validation.imagenet10.summary import taken, timed

COLORS = ("tab:gray", "k", "tab:red", "tab:orange", "tab:green", "tab:purple", "tab:cyan", "tab:olive")
MEASURES = (("validation", 100.0, "validation accuracy in %"), ("validation_loss", 1.0, "validation loss"))
COSTS = (("elapsed", "seconds"), ("work", "epochs, in passes of the fine network"))


def draw_figure3(results: list[dict[str, Any]], preset: ImageNetPreset) -> Figure:
    """Draw every path: a line a seed, coarse levels dashed; a dot is the network that was taken."""
    figure = Figure(figsize=(12, 7.6), layout="constrained")
    panels = figure.subplots(2, 2, sharex="col", sharey="row")
    colors = {FINE: "tab:blue"} | dict(zip([way.name for way in preset.ways], cycle(COLORS)))
    for (key, scale, label), row in zip(MEASURES, panels, strict=True):
        for (cost, below), axes in zip(COSTS, row, strict=True):
            for name, last in paths_of(preset).items():
                _draw_path(axes, results, (preset, last), (cost, key, scale), (name, colors[name]))
            axes.grid(alpha=0.3)
            axes.set_xlabel(below)
            axes.label_outer()
        row[0].set_ylabel(label)
    panels[1, 0].set_yscale("log")
    if panels[0, 0].get_legend_handles_labels()[1]:
        panels[0, 1].legend(*panels[0, 0].get_legend_handles_labels(), loc="lower right", fontsize="small")
    return figure


def _draw_path(
    axes: Axes,
    results: list[dict[str, Any]],
    path: tuple[ImageNetPreset, Stage],
    what: tuple[str, str, float],
    look: tuple[str, str],
) -> None:
    preset, last = path
    cost, key, scale = what
    name, color = look
    for found in results:
        if any(stage.name not in found["stages"] for stage in last.chain()):
            continue
        rows = timed(last.chain(), found["stages"], preset)
        chosen = taken([row for row in rows if row["size"] == last.size])
        for size in dict.fromkeys(row["size"] for row in rows):
            points = [(r[cost], r[key]) for r in rows if r["size"] == size and r[key] is not None]
            x, y = np.array(points).T
            fine = size == last.size
            # Paths share the first level: its line is drawn over itself, in the colour of none.
            shown = {"color": color, "alpha": 0.8} if fine else {"color": "0.6", "linestyle": "--"}
            axes.plot(x, scale * y, linewidth=1, **shown)
        axes.plot(chosen[cost], scale * chosen[key], "o", color=color, markersize=5, label=name)
        name = "_again"  # an underscore keeps it out of the legend
