"""Tables and figure of a bench."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from refmg_backends.cuda_choice import METHODS
from refmg_validation.bench.growth import in_words
from refmg_validation.bench.targets import aim


def kernel_table(result: dict[str, Any]) -> Table:
    """Return rate, share of the limit and ratio to the peer of every kernel."""
    limits = "; ".join(
        f"{dtype}: {one['GF/s']:.0f} GF/s (matrix product), {one['GB/s']:.0f} GB/s (copy)"
        for dtype, one in result["limits"].items()
    )
    table = Table(title=f"{result['backend']} on {result['device']}", caption=f"Limits: {limits}")
    for name in ("dtype", "channels", "grid", "operation"):
        table.add_column(name)
    for name in ("ms", "GF/s", "of the limit", "spread", "time / PyTorch's"):
        table.add_column(name, justify="right")
    for r in result["kernels"]:
        ours = r["refmg"]
        numbers = (f"{ours['ms']:.2f}", f"{ours['GF/s']:.0f}", f"{r['share of limit']:.0%}",
                   f"{ours['spread']:.0%}", str(r.get("refmg / torch", "-")))  # fmt: skip
        table.add_row(r["dtype"], str(r["channels"]), f"{r['grid']}^2", r["operation"], *numbers)
    return table


def method_table(result: dict[str, Any]) -> Table:
    """Return the time of every way of computing each kernel, the chosen one marked."""
    table = Table(title="Ways of computing, ms (predicted from ceilings); * is the one that is taken")
    for name in ("dtype", "channels", "grid", "operation", *METHODS):
        table.add_column(name)
    for r in (row for row in result["kernels"] if "methods" in row):
        ways = [_way(r["methods"], method) for method in METHODS]
        table.add_row(r["dtype"], str(r["channels"]), f"{r['grid']}^2", r["operation"], *ways)
    return table


def _way(ways: dict[str, Any], method: str) -> str:
    if method not in ways:
        return "-"
    star, ideal = "*" if method == ways["chosen"] else "", ways[method].get("predicted ms")
    return f"{ways[method]['ms']:.3f}{star}" + (f" ({ideal:.3f})" if ideal is not None else "")


def network_table(result: dict[str, Any]) -> Table:
    """Return times of gradients and Gauss-Newton products."""
    table = Table(title="Networks of 16 channels on 28 x 28, 128 examples")
    for name in ("dtype", "layers", "operation"):
        table.add_column(name)
    for name in ("ms", "spread", "time / PyTorch's"):
        table.add_column(name, justify="right")
    for r in result["networks"]:
        ours = r["refmg"]
        ratio = str(r.get("refmg / torch", "-"))
        table.add_row(r["dtype"], str(r["layers"]), r["operation"], f"{ours['ms']:.1f}",
                      f"{ours['spread']:.0%}", ratio)  # fmt: skip
    return table


def summary_table(result: dict[str, Any]) -> Table:
    """Return what was found beside what is to be reached."""
    peer = f"; ratios are to times of {result['peer']}, same run, same threads" if result["peer"] else ""
    table = Table(title=f"What is to be reached{peer}")
    for name in ("dtype", "what", "found", "to reach", ""):
        table.add_column(name)
    for row in result["summary"]:
        verdict = "reached" if row["reached"] else "missed"
        table.add_row(row["dtype"], row["what"], f"{row['ratio']:.3f}", aim(row), verdict)
    return table


def surroundings_lines(result: dict[str, Any]) -> list[str]:
    """Return scaling, start-up, memory and assembly, a line each."""
    lines = [in_words(row) for row in result.get("scaling", [])]
    lines += [f"{name}: {value}" for name, value in result.get("startup", {}).items()]
    for row in result.get("memory", []):
        lines.append(f"peak memory of a gradient, {row['layers']} layers, {row['channels']} channels, "
                     f"{row['grid']}^2, {row['examples']} examples, {row['dtype']}: "
                     f"{row['peak / stored']} of what its stored states need")  # fmt: skip
    if result.get("assembly"):
        found = result["assembly"]
        lines.append(f"explicit assembly: {found['refmg / pyamg']} of PyAMG's time for a new grid, "
                     f"{found['refmg again / pyamg']} for the same grid again")  # fmt: skip
    return lines


def draw_bench(result: dict[str, Any]) -> Figure:
    """Draw the rates of the kernels beside the peer's, one panel a precision and operation."""
    operations = ["convolve", "transpose", "stencil gradient"]
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots(len(result["limits"]), 3, sharey="row", squeeze=False)
    for row, dtype in zip(axes, result["limits"], strict=True):
        for panel, operation in zip(row, operations, strict=True):
            cases = [r for r in result["kernels"] if (r["dtype"], r["operation"]) == (dtype, operation)]
            labels = [f"{r['channels']}\n{r['grid']}²" for r in cases]
            for name, marker in (("refmg", "o-"), ("torch", "s--")):
                if all(name in r for r in cases):
                    panel.plot([r[name]["GF/s"] for r in cases], marker, markersize=4, label=name)
            limit = result["limits"][dtype]["GF/s"]
            panel.axhline(limit, color="grey", linewidth=0.8, label="matrix product")
            panel.set_xticks(range(len(labels)), labels, fontsize=7)
            panel.set_title(f"{operation}, {dtype}", fontsize=9)
            panel.set_ylim(bottom=0)
        row[0].set_ylabel("GF/s of the direct algorithm")
        row[0].legend(fontsize=8)
    figure.supxlabel(f"channels and grid; {result['backend']} on {result['device']}", fontsize=9)
    return figure
