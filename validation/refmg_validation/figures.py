"""The pictures: Figure 1 of the paper drawn anew, and accuracies across resolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from refmg import Convolution, restrict_stencil
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
        "$K_h(s_h)\\,y_h$": Convolution(S_FINE, grids[0]).apply(fine)[0, ..., 0],
        "coarse image": coarse[0, ..., 0],
        "$K_H(s_H)\\,y_H$": Convolution(s_coarse, grids[1]).apply(coarse)[0, ..., 0],
        "$K_H(s_h)\\,y_H$, unchanged": Convolution(S_FINE, grids[1]).apply(coarse)[0, ..., 0],
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
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    for shift, level in ((-0.2, "coarse"), (0.2, "fine")):
        heights = [100 * row[f"{level}_test"] for row in rows]
        bars = axes.bar(places + shift, heights, width=0.38, label=f"{level} images")
        axes.bar_label(bars, fmt="%.1f")
    axes.set_xticks(places, [TITLES.get(row["network"], row["network"]) for row in rows])
    axes.set_ylabel("test accuracy in %")
    axes.set_ylim(0, 122)  # room for the legend above the bars
    axes.set_title(title)
    axes.legend(loc="upper center", ncols=2)
    return figure
