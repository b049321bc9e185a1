"""Tables on the terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

from refmg_validation.example1 import S_COARSE_PRINTED, S_FINE, Comparison

# Paper, section 4: in % on MNIST, (coarse images, fine images).
PAPER_NATIVE = ("98.28", "98.18")
PAPER_TRANSFERRED = ("94.9", "91.0")
PAPER_UNCHANGED = ("84.1", "61.0")


def example1_table(comparisons: list[Comparison]) -> Table:
    """Return s_h, the printed s_H and ours, for every pair."""
    table = Table(title="Example 1: a stencil restricted from 28 x 28 to 14 x 14", show_lines=True)
    for name in ("stencil", "taps", "off by", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_row("s_h (paper)", _taps(S_FINE, 2), "", "")
    table.add_row("s_H (paper, printed)", _taps(S_COARSE_PRINTED, 2), "", "")
    for c in comparisons:
        verdict = "the paper's, as printed" if c.explains else "not the paper's"
        table.add_row(f"s_H by {c.transfer!r}", _taps(c.stencil, 5), f"{c.difference:.5f}", verdict)
    return table


def _taps(s: np.ndarray, digits: int) -> str:
    return "\n".join(" ".join(f"{tap:{digits + 4}.{digits}f}" for tap in row) for row in s)


def resolution_table(result: dict[str, Any]) -> Table:
    """Return the test accuracies in %, the paper's beside them, and the seconds of transfers both ways."""
    data = result["data"]
    title = f"Test accuracy in %, {data['test']} images ({data['name']}, trained on {data['train']})"
    table = Table(title=title)
    for name in ("network", "coarse images", "paper", "fine images", "paper", "seconds"):
        table.add_column(name, justify="left" if name == "network" else "right")
    for row in result["rows"]:
        label, printed = described(row["network"]), paper_columns(row["network"])
        ours = [f"{100 * row[f'{level}_test']:.2f}" for level in ("coarse", "fine")]
        seconds = seconds_text(*(row.get(f"{level}_seconds") for level in ("coarse", "fine")))
        table.add_row(label, ours[0], printed[0], ours[1], printed[1], seconds)
    return table


def seconds_text(to_coarse: float | None, to_fine: float | None) -> str:
    """Return the seconds of both transfers, nothing where none are known.

    Examples
    --------
    >>> seconds_text(0.03125, 12.5), seconds_text(None, None)
    ('0.03 / 12.50', '')
    """
    if to_coarse is None or to_fine is None:
        return ""
    return f"{to_coarse:.2f} / {to_fine:.2f}"


def described(name: str) -> str:
    """Return what a row of the resolution table stands for."""
    if name == "native":
        return "native: trained at this resolution"
    if name == "unchanged":
        return "from the other resolution, stencils unchanged"
    if name == "images resized":
        return "the other network, images resized to its grid by P or R"
    named, *rest = name.split(", ")
    return ", ".join([f"from the other resolution, by {named!r}", *rest])


def paper_columns(name: str) -> tuple[str, str]:
    """Return the paper's accuracies beside a row: coarse images, fine images."""
    if name in ("linear", "full-weighting"):  # the same composite
        return PAPER_TRANSFERRED
    return {"native": PAPER_NATIVE, "unchanged": PAPER_UNCHANGED}.get(name, ("", ""))


def ordering(result: dict[str, Any]) -> list[str]:
    """Say for each transfer how far above or below unchanged stencils it is; the paper's was above."""
    rows = {row["network"]: row for row in result["rows"]}
    lines = []
    for name, row in rows.items():
        if name in ("native", "unchanged", "images resized"):
            continue
        for level, origin in (("coarse", "fine to coarse"), ("fine", "coarse to fine")):
            gain = 100 * (row[f"{level}_test"] - rows["unchanged"][f"{level}_test"])
            verdict = f"{abs(gain):.2f} points {'above' if gain > 0 else 'below'}" if gain else "as good as"
            lines.append(f"{origin}: {name!r} is {verdict} unchanged stencils")
    return lines
