"""Lines over iterations, in colours for light and for dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from math import isfinite
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from refmg_validation.html_report.cells import heading, is_fraction
from refmg_validation.html_report.embedding import data_uri

# Told apart by people with any kind of colour vision (Okabe and Ito), and by marks as well.
COLORS = {
    "light": ("#0072b2", "#d55e00", "#007a5a", "#a8407f", "#6b5b00", "#444444"),
    "dark": ("#56b4e9", "#ffa040", "#2fc79a", "#e69ac4", "#f0e442", "#c8c8c8"),
}
INK = {"light": "#333333", "dark": "#d0d0d0"}
MARKS = "os^Dv"  # one less than the colours: thirty lines differ before a look comes again
SPREAD = 20  # a column whose values lie further apart, by this factor, gets a logarithmic axis
INSIDE = 6  # more lines than these have their legend below the axes
ROW = 0.18  # inches of a row of that legend, which has two columns
SIZE = (4.3, 2.9)  # inches: on the narrowest screens the text is still some ten pixels high


@dataclass(frozen=True)
class Line:
    """One line.

    Parameters
    ----------
    label : str
        In the legend.
    x, y : list of float
        Points; NaN leaves a gap.
    look : int
        Lines that belong together have the same colour and mark.
    dashed : bool
        For the second of two runs.
    """

    label: str
    x: list[float]
    y: list[float]
    look: int
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """A picture for light and for dark pages, its caption, and what it shows in words."""

    light: str
    dark: str
    caption: str
    alt: str


def draw_panel(lines: list[Line], x: str, column: str) -> Panel:
    """Draw one column of several series in common axes.

    Parameters
    ----------
    lines : list of Line
        What to draw.
    x, column : str
        Names of the axes; accuracies are drawn in %.

    Examples
    --------
    >>> panel = draw_panel([Line("fine", [0, 1], [0.5, 0.25], 0)], "iteration", "loss")
    >>> panel.alt
    'loss over iteration, 1 line. fine: from 0.5 to 0.25'
    """
    scale = 100 if is_fraction(column) else 1
    lines = [Line(ln.label, ln.x, [scale * y for y in ln.y], ln.look, ln.dashed) for ln in lines]
    drawn = _svg(lines, x, column)
    light, dark = (data_uri(svg.encode(), "image/svg+xml") for svg in (drawn, _darkened(drawn)))
    name = heading(column)
    words = "; ".join(_in_words(line) for line in lines)
    alt = f"{name} over {x}, {len(lines)} line{'s' * (len(lines) != 1)}. {words}"
    return Panel(light, dark, f"{name} over {x}", alt)


def _in_words(line: Line) -> str:
    known = [y for y in line.y if isfinite(y)]
    return f"{line.label}: from {known[0]:.4g} to {known[-1]:.4g}" if known else f"{line.label}: no numbers"


def _svg(lines: list[Line], x: str, column: str) -> str:
    # A fixed salt and no date: the same run gives the same page.
    style: dict[Any, Any] = {"svg.hashsalt": "refmg", "font.size": 9}
    style |= {name: INK["light"] for name in ("text.color", "axes.labelcolor", "axes.edgecolor")}
    style |= {f"{axis}tick.color": INK["light"] for axis in "xy"}
    with matplotlib.rc_context(style):
        width, height = SIZE
        below = ROW * ((len(lines) + 1) // 2) if len(lines) > INSIDE else 0
        figure = Figure(figsize=(width, height + below), layout="constrained", facecolor="none")
        axes = figure.subplots()
        axes.set_facecolor("none")
        for line in lines:
            axes.plot(line.x, line.y, **_look(line))
        _label(axes, lines, x, heading(column))
        buffer = StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _darkened(svg: str) -> str:
    for light, dark in zip([INK["light"], *COLORS["light"]], [INK["dark"], *COLORS["dark"]], strict=True):
        svg = svg.replace(light, dark)
    return svg


def _look(line: Line) -> dict[str, Any]:
    colors = COLORS["light"]
    look: dict[str, Any] = {"color": colors[line.look % len(colors)], "marker": MARKS[line.look % len(MARKS)]}
    hollow = {"linestyle": "--", "markerfacecolor": "none"} if line.dashed else {}
    return look | hollow | {"markersize": 4, "linewidth": 1.4}


def _label(axes: Axes, lines: list[Line], x: str, name: str) -> None:
    # Names are shown as they are, never read as mathematics.
    axes.set_xlabel(x, parse_math=False)
    axes.set_ylabel(name, parse_math=False)
    values = [y for line in lines for y in line.y if isfinite(y)]
    if values and min(values) > 0 and max(values) > SPREAD * min(values):
        axes.set_yscale("log")
    if all(value == int(value) for line in lines for value in line.x if isfinite(value)):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # half an iteration is none
    axes.grid(alpha=0.25)
    if len(lines) > 1:
        _legend(axes, [line.label for line in lines])


def _legend(axes: Axes, labels: list[str]) -> None:
    look: dict[str, Any] = {"fontsize": 8, "framealpha": 0}
    if len(labels) <= INSIDE:
        legend = axes.legend(axes.get_lines(), labels, **look)
    else:
        figure: Any = axes.get_figure()
        legend = figure.legend(axes.get_lines(), labels, loc="outside lower center", ncols=2, **look)
    for text in legend.get_texts():
        text.set_parse_math(False)
