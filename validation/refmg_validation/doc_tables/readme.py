"""The README's table: the paper's main numbers beside ours."""

from __future__ import annotations

from typing import Any

from refmg_validation.doc_tables.markdown import percent, table
from refmg_validation.doc_tables.replication import LEVELS, printed

Record = dict[str, Any]
ROWS = {"native": "native", "linear": "moved by the paper's map", "unchanged": "stencils unchanged"}
CALIBRATED = "calibrated, 2000 images"
GRIDS = {"coarse": "14 x 14", "fine": "28 x 28"}


def results(weak: Record, strong: Record, depth: Record, pyramid: Record, checks: Record) -> list[str]:
    """Return the table.

    Parameters
    ----------
    weak, strong : dict
        ``seeds.json`` of both regularisations.
    depth, pyramid : dict
        ``run.json`` of the multilevel experiments.
    checks : dict
        ``checks.json``.
    """
    seeds = sorted({len(weak["seeds"]), len(strong["seeds"])})
    shown = " or ".join(map(str, seeds))
    rows = [_example_1(checks)]
    for name, label in {**ROWS, CALIBRATED: 'moved by refmg\'s `"calibrated"`'}.items():
        for place, level in enumerate(LEVELS):
            ours = [percent(record["summary"][name][f"{level}_test"]["mean"]) for record in (weak, strong)]
            rows.append([f"MNIST {GRIDS[level]}, {label}, %", printed(name, place), *ours])
    head = ["", "paper", "refmg, weak regularisation", "refmg, strong"]
    rows += [_deepest(depth), _cheapest(pyramid)]
    said = f"MNIST: test accuracy, {shown} seeds; the paper's are validation accuracies of one division."
    return [*table(head, rows), "", said]


def _example_1(checks: Record) -> list[str]:
    found = next(check for check in checks["checks"] if check["name"].startswith("Example 1 by 'linear'"))
    return ["Example 1, restricted stencil", "two decimals", f"the same to {found['measured']:.5f}", ""]


def _deepest(depth: Record) -> list[str]:
    deepest = max(row["layers"] for row in depth["summary"])
    rows = {row["start"]: row for row in depth["summary"] if row["layers"] == deepest}
    loss = [f"{rows[start]['classifier_loss']['mean']:.3f}" for start in ("prolonged", "random")]
    name = f"Figure 2, {deepest} layers: first loss, prolonged / random start"
    return [name, "lower", " / ".join(loss), ""]


def _cheapest(pyramid: Record) -> list[str]:
    ratios = {row["path"]: row["work_ratio"]["mean"] for row in pyramid["summary"]}
    found = [ratios[f"coarse to fine, {name}"] for name in ("linear", "calibrated")]
    shown = ["never" if ratio is None else f"{ratio:.2f}" for ratio in found]
    seeds, data = pyramid["settings"]["data"], pyramid["settings"]["data"][0]
    where = f"{data['train']:,} images of {data['name']}, {len(seeds)} seeds"
    text = f'{shown[0]} by the paper\'s map, {shown[1]} by `"calibrated"` (work; {where})'
    return ["Coarse to fine: cost by fine only's", "0.742 (time, ImageNet-10)", text, ""]
