"""Tables and the plot of ``refmg bench --scaling``."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from refmg_validation.bench.scaling.judging import found_in_words
from refmg_validation.bench.scaling.message_cost import in_words


def scaling_table(result: dict[str, Any]) -> Table:
    """Return one row an operation."""
    ranks = result["ranks"]
    table = Table(
        title=f"{ranks} ranks, {result['workload']['examples']} examples a rank, {result['backend']}"
    )
    for name in (
        "operation",
        "alone ms",
        f"{ranks} side by side ms",
        "weak ms",
        "model",
        "strong ms",
        "model",
    ):
        table.add_column(name, justify="left" if name == "operation" else "right")
    for row in result["scaling"]:
        table.add_row(row["operation"], *(f"{1e3 * t:.2f}" for t in times_of(row)))
    return table


def times_of(row: dict[str, Any]) -> list[float]:
    """Return seconds alone, side by side, and weak and strong with the model's behind each of them."""
    s = row["seconds"]
    together = (s["weak"], row["model, weak"], s["strong"], row["model, strong"])
    return [row["alone, s"], s["side by side"], *together]


def judged_table(result: dict[str, Any]) -> Table:
    """Return what was found beside what is to be reached."""
    table = Table(title="To reach")
    for name in ("what", "found", "to reach", ""):
        table.add_column(name, justify="right" if name == "found" else "left")
    for row in result["judged"]:
        found, words = found_in_words(row)
        table.add_row(row["what"], found, row["to reach"], words)
    return table


def curve_lines(result: dict[str, Any]) -> list[str]:
    """Say for each run, and each network of wires, where communication takes a tenth, and what computes."""
    lines, compute = [], result["compute"]
    for name, curves in result["curves"].items():
        for found in curves:
            point, last = found["ranks at 10 %"], found["share"][-1]
            at = "at no number of ranks" if point is None else f"from {point} ranks on"
            lines.append(
                f"{name}, {together(found['cost'], compute)}: communication takes 10 % of the time {at}, "
                f"{100 * last:.1f} % with {found['ranks'][-1]}"
            )
    return lines


def together(cost: dict[str, Any], compute: dict[str, Any], short: bool = False) -> str:
    """Say which wires are drawn between ranks that compute like what, and where nobody has such a machine.

    Parameters
    ----------
    cost, compute : dict
        As in a record.
    short : bool
        Without numbers, for a legend.

    Examples
    --------
    >>> nominal = {"source": "nominal: 10 microseconds, 50 GB/s a GPU"}
    >>> together(nominal, {"source": "cupy on cuda: A100"})
    'nominal: 10 microseconds, 50 GB/s a GPU; ranks compute as cupy on cuda: A100'
    >>> together(nominal, {"source": "numba on cpu"}, short=True)
    "nominal: a GPU's wires, a CPU's computing"
    """
    source, computing = cost["source"], compute["source"]
    kind = source.split(":")[0]
    mixed = kind == "nominal" and computing.endswith(" on cpu")
    if short:
        return f"{kind}: a GPU's wires, a CPU's computing" if mixed else kind
    words = f"{source}; ranks compute as {computing}"
    return f"{words}, so that a GPU's wires meet a CPU's computing" if mixed else words


def sums_line(result: dict[str, Any]) -> str:
    """Say what sums cost, range by range.

    Examples
    --------
    >>> cost = {"ranges": [{"up_to": None, "alpha": 1e-4, "beta": 1e-9}], "source": "measured at 2 ranks"}
    >>> sums_line({"costs": [cost]})
    'Sums, measured at 2 ranks: of any length 100.0 microseconds and 1.00 GB/s'
    """
    cost = result["costs"][0]
    return f"Sums, {cost['source']}: {in_words(cost['ranges'])}"


def draw_scaling(result: dict[str, Any]) -> Figure:
    """Draw measured and modelled times, and the part of communication up to 1,024 ranks."""
    figure = Figure(figsize=(16, 4), layout="constrained")
    panels = figure.subplots(1, 2 + len(result["curves"]))
    _draw_measured(panels[0], result)
    _draw_sums(panels[1], result)
    for panel, (name, curves) in zip(panels[2:], result["curves"].items(), strict=True):
        for found in curves:
            source = together(found["cost"], result["compute"], short=True)
            percent = [[100 * part for part in found[key]] for key in ("share", "weak share")]
            (line,) = panel.plot(found["ranks"], percent[0], "o-", markersize=3, label=f"strong, {source}")
            panel.plot(found["ranks"], percent[1], "--", color=line.get_color(), label=f"weak, {source}")
        panel.axhline(10, color="grey", linewidth=0.8)
        panel.set_xscale("log", base=2)
        panel.set_ylim(0, 100)
        panel.set_title(f"{name} (modelled)", fontsize=9)
        panel.set_xlabel("ranks")
        panel.legend(fontsize=7)
    panels[2].set_ylabel("communication, % of the time")
    figure.supxlabel(f"computing: {result['compute']['source']}", fontsize=8)
    return figure


def _draw_measured(panel: Any, result: dict[str, Any]) -> None:
    rows = result.get("scaling", [])
    for start, row in enumerate(rows):
        for k, kind in enumerate(("weak", "strong")):
            at = 3 * start + k
            panel.bar(at, 1e3 * row["seconds"][kind], 0.8, color=f"C{k}", label=kind if not start else None)
            panel.plot(at, 1e3 * row[f"model, {kind}"], "k_", markersize=16)
    panel.set_xticks([3 * i + 0.5 for i in range(len(rows))], [row["operation"] for row in rows], fontsize=7)
    panel.set_title(f"{result['ranks']} ranks: measured, and the model (lines)", fontsize=9)
    panel.set_ylabel("ms")
    if rows:
        panel.legend(fontsize=7)


def _draw_sums(panel: Any, result: dict[str, Any]) -> None:
    rows = result.get("messages", [])
    if rows:
        sizes = [row["bytes"] for row in rows]
        panel.loglog(sizes, [1e3 * row["seconds"] for row in rows], "o", markersize=3, label="measured")
        panel.loglog(sizes, [1e3 * row["foretold"] for row in rows], "k_", label="foretold by the others")
        for end in (r["up_to"] for r in result["costs"][0]["ranges"][:-1]):
            panel.axvline(end, color="grey", linewidth=0.5)
        panel.legend(fontsize=7)
    panel.set_title("sums over ranks, ranges of lengths", fontsize=9)
    panel.set_xlabel("bytes")
    panel.set_ylabel("ms")
