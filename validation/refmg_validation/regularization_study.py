"""Under which regularisation does the paper's ordering hold? Validation images only.

``python -m refmg_validation.regularization_study --output validation/results/regularization.json``
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from refmg import Regularization
from refmg_validation.presets import PRESETS
from refmg_validation.records import provenance, write_json
from refmg_validation.resolution import LEVELS, run_resolution

WEIGHTS = [(1e-8, 1e-5), (1e-7, 1e-5), (1e-8, 1e-2), (1e-8, 1e-1), (1e-6, 1e-4), (1e-4, 1e-3)]
TRANSFERS = ["linear", "average"]


def run_study(data: Path | None, iterations: int) -> list[dict[str, Any]]:
    """Train the small preset under each pair of weights ``(alpha_W, alpha_0)``."""
    found = []
    for alpha_W, alpha_0 in WEIGHTS:
        base = PRESETS["small"]
        weights = Regularization(alpha_W=alpha_W, alpha_t=1e-5, alpha_0=alpha_0)
        preset = replace(base, training=replace(base.training, iterations=iterations, regularization=weights))
        with TemporaryDirectory() as folder:
            result = run_resolution(preset, data, TRANSFERS, 0, Path(folder), lambda level, record: None)
        rows = {
            row["network"]: {level: row[f"{level}_validation"] for level in LEVELS} for row in result["rows"]
        }
        found.append({"alpha_W": alpha_W, "alpha_0": alpha_0, "validation": rows})
        print(found[-1], flush=True)
    return found


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
    parser.add_argument("--data", type=Path)
    parser.add_argument("--iterations", type=int, default=8)
    given = parser.parse_args()
    found = run_study(given.data, given.iterations)
    Console(width=110).print(study_table(found))
    about = provenance() | {
        "command": f"python -m refmg_validation.regularization_study --output {given.output}"
    }
    write_json(given.output, about | {"preset": "small", "iterations": given.iterations, "found": found})


if __name__ == "__main__":
    main()
