"""The pictures: Figure 1 of the paper drawn anew, and accuracies across resolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from refmg import ConstraintJacobian, Convolution, StabilityReport, restrict_stencil
from refmg.data import Images, restrict_images
from refmg_validation.example1 import S_FINE

TITLES = {"native": "native", "unchanged": "stencils\nunchanged", "images resized": "images\nresized"}


def figure1_panels(image: Images, transfer: str = "linear") -> dict[str, NDArray[np.float64]]:
    """Return the five images of Figure 1, in float64.

    Parameters
    ----------
    image : Images
        One image.
    transfer : str
        The pair.

    Returns
    -------
    dict
        Title and image: both images, both results, and the coarse result with the fine stencil.
    """
    fine = image.features()
    coarse = restrict_images(fine, sigma=0.0, transfer=transfer)
    grids = fine.shape[1:-1], coarse.shape[1:-1]
    s_coarse = restrict_stencil(S_FINE, transfer)
    return {
        "fine image": fine[0, ..., 0],
        "$K_h(s_h)\\,y_h$": Convolution(S_FINE, grids[0], backend="numpy").apply(fine)[0, ..., 0],
        "coarse image": coarse[0, ..., 0],
        "$K_H(s_H)\\,y_H$": Convolution(s_coarse, grids[1], backend="numpy").apply(coarse)[0, ..., 0],
        "$K_H(s_h)\\,y_H$, unchanged": Convolution(S_FINE, grids[1], backend="numpy").apply(coarse)[
            0, ..., 0
        ],
    }


def draw_figure1(image: Images, transfer: str = "linear") -> Figure:
    """Draw Figure 1 of the paper from a real digit; the three results share one colour scale."""
    panels = figure1_panels(image, transfer)
    figure = Figure(figsize=(12, 3), layout="constrained")
    limit = max(float(np.abs(panel).max()) for title, panel in panels.items() if "K" in title)
    for axes, (title, panel) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        is_result = "K" in title
        low, high = (-limit, limit) if is_result else (0.0, 1.0)
        drawn = axes.imshow(panel, cmap="RdBu_r" if is_result else "gray", vmin=low, vmax=high)
        axes.set_title(title)
        axes.set_axis_off()
    figure.colorbar(drawn, ax=figure.axes, shrink=0.8)
    return figure


def draw_accuracies(rows: list[dict[str, Any]], title: str) -> Figure:
    """Draw the test accuracies of all rows, coarse images beside fine ones."""
    figure = Figure(figsize=(max(7, 0.95 * len(rows)), 4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    for shift, level in ((-0.2, "coarse"), (0.2, "fine")):
        heights = [100 * row[f"{level}_test"] for row in rows]
        bars = axes.bar(places + shift, heights, width=0.38, label=f"{level} images")
        axes.bar_label(bars, fmt="%.1f")
    axes.set_xticks(places, [_short(row["network"]) for row in rows])
    axes.set_ylabel("test accuracy in %")
    axes.set_ylim(0, 122)  # room for the legend above the bars
    axes.set_title(title)
    axes.legend(loc="upper center", ncols=2)
    return figure


def _short(name: str) -> str:
    return TITLES.get(name, name.replace(", ", "\n").replace("-", "-\n"))


def draw_race(found: dict[str, list[dict[str, Any]]]) -> Figure:
    """Draw test accuracy and training objective of several optimisers against their seconds."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, records in found.items():
        seconds = [r["elapsed"] for r in records]
        left.plot(seconds, [100 * r["test"] for r in records], ".-", markersize=3, label=name)
        right.semilogy(seconds, [r["loss"] + r["regularizer"] for r in records], ".-", markersize=3)
    left.set_ylabel("test accuracy in %")
    left.set_ylim(80, 100)
    left.legend(loc="lower right")
    right.set_ylabel("training objective")
    for axes in (left, right):
        axes.set_xlabel("seconds of training")
        axes.grid(alpha=0.3)
    return figure


def draw_exponents(found: dict[str, list[dict[str, Any]]]) -> Figure:
    """Draw validation accuracy against the exponent of the power law, a panel a regime of training."""
    figure = Figure(figsize=(4 * len(found), 3.6), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (name, rows) in zip(panels, found.items(), strict=True):
        laws = sorted((row for row in rows if "exponent" in row), key=lambda row: row["exponent"])
        for level, color in (("coarse", "tab:blue"), ("fine", "tab:orange")):
            accuracies = [100 * row[level] for row in laws]
            axes.plot(
                [row["exponent"] for row in laws], accuracies, "o-", color=color, label=f"{level} images"
            )
            for other, style in (("calibrated", "-."), ("unchanged", "--"), ("linear", ":")):
                value = next(100 * row[level] for row in rows if row["transfer"] == other)
                axes.axhline(value, color=color, linestyle=style, alpha=0.6, label=f"{level}, {other!r}")
        axes.set_title(name)
        axes.set_xlabel("exponent p")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("validation accuracy in %")
    panels[-1].legend(fontsize="x-small", loc="lower right")
    return figure


def draw_sparsity(system: ConstraintJacobian, title: str) -> Figure:
    """Draw the pattern of the linearised constraints: states on the left, controls on the right."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, system.B.shape[1] / system.A.shape[1]])
    left.spy(system.A, markersize=0.6)
    left.set_title(f"{title}: by the states")
    right.spy(system.B, markersize=0.6, aspect="auto")
    right.set_title("by the controls")
    return figure


def draw_memory(rows: list[dict[str, Any]]) -> Figure:
    """Draw peak memory of one gradient against depth, a line a storage, with lines of growth."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for storage in dict.fromkeys(row["storage"] for row in rows):
        chosen = [row for row in rows if row["storage"] == storage]
        axes.loglog([r["layers"] for r in chosen], [r["states"] for r in chosen], "o-", label=storage)
    axes.set_xlabel("layers")
    axes.set_ylabel("peak memory of a gradient, in states")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    return figure


def draw_stability(report: StabilityReport) -> Figure:
    """Draw ``dt`` times the eigenvalues of every layer's Jacobian with the regions of Euler and RK4."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    x, y = np.meshgrid(np.linspace(-4, 4, 400), np.linspace(-4, 4, 400))
    z = x + 1j * y
    growths = {"forward Euler": 1 + z, "RK4": 1 + z * (1 + z / 2 * (1 + z / 3 * (1 + z / 4)))}
    for color, (name, growth) in zip(("tab:blue", "tab:gray"), growths.items(), strict=True):
        axes.contour(x, y, np.abs(growth), levels=[1.0], colors=color)
        axes.plot([], [], color=color, label=f"{name}: stable inside")
    for layer in report.layers:
        points = layer.dt * layer.jacobian
        axes.plot(points.real, points.imag, ".", markersize=2, label=f"control {layer.control}")
    axes.set_xlabel("Re dt lambda")
    axes.set_ylabel("Im dt lambda")
    axes.set_aspect("equal")
    axes.legend(loc="upper right", fontsize="small", markerscale=4)
    return figure
