"""Under which regularisation does the paper's ordering hold? Validation images only.

``python -m refmg_validation.regularization_study --output validation/results/regularization.json``

It goes on where it was interrupted, with the networks in ``--work``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from refmg_validation.levels import LEVELS
from refmg_validation.presets import PRESETS, Preset
from refmg_validation.records import provenance, study_command, write_json
from refmg_validation.resolution import load_levels, measure, trained_networks

ALPHA_W = (1e-8, 1e-6)
ALPHA_0 = (1e-4, 1e-2, 1e-1, 1.0)
TRANSFERS = ["linear", "average", "power-law"]


def run_study(preset: Preset, data: Path | None, work: Path) -> list[dict[str, Any]]:
    """Train the preset under each pair of weights ``(alpha_W, alpha_0)``, and move without images."""
    levels, about = load_levels(preset, data, preset.training.seed)
    found = []
    for alpha_W, alpha_0 in product(ALPHA_W, ALPHA_0):
        weights = replace(preset.training.regularization, alpha_W=alpha_W, alpha_0=alpha_0)
        chosen = replace(preset, training=replace(preset.training, regularization=weights))
        folder = work / f"{alpha_W:g}-{alpha_0:g}"
        networks, _ = trained_networks(chosen, levels, about, folder, lambda level, record: None)
        rows = {
            row["network"]: {level: row[f"{level}_validation"] for level in LEVELS}
            for row in measure(networks, levels, TRANSFERS)
        }
        found.append({"alpha_W": alpha_W, "alpha_0": alpha_0, "validation": rows})
        print(found[-1], flush=True)
    return found


def orderings(found: list[dict[str, Any]]) -> list[str]:
    """Say for each transfer where it beat unchanged stencils in both directions."""
    lines = []
    for name in TRANSFERS:
        better = [
            f"({entry['alpha_W']:g}, {entry['alpha_0']:g})"
            for entry in found
            if all(entry["validation"][name][k] > entry["validation"]["unchanged"][k] for k in LEVELS)
        ]
        lines.append(f"{name!r} beats unchanged stencils both ways at {', '.join(better) or 'none of them'}")
    return lines


def study_table(found: list[dict[str, Any]]) -> Table:
    """Return validation accuracies in %, coarse images / fine images."""
    table = Table(title="Validation accuracy in %, coarse images / fine images")
    names = list(found[0]["validation"])
    for name in ("alpha_W", "alpha_0", *names):
        table.add_column(name)
    for entry in found:
        cells = [
            f"{100 * row['coarse']:.1f} / {100 * row['fine']:.1f}" for row in entry["validation"].values()
        ]
        table.add_row(f"{entry['alpha_W']:g}", f"{entry['alpha_0']:g}", *cells)
    return table


def main() -> None:
    """Run the study, print its table and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="for the networks")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--validation", type=int, default=5_000)
    parser.add_argument("--iterations", type=int, default=10)
    given = parser.parse_args()
    base = PRESETS["paper"]
    training = replace(base.training, iterations=given.iterations)
    preset = replace(base, train=given.train, validation=given.validation, training=training)
    found = run_study(preset, given.data, given.work)
    Console(width=110).print(study_table(found))
    print(*orderings(found), sep="\n")
    command = study_command("refmg_validation.regularization_study", given)
    about = provenance() | {"command": command, "preset": preset.as_dict()}
    write_json(given.output, about | {"orderings": orderings(found), "found": found})


if __name__ == "__main__":
    main()
