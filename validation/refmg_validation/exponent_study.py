"""Which exponent should the power law have? Accuracies of moved networks, validation images only.

``python -m refmg_validation.exponent_study --output validation/results/exponents --work FOLDER``
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from refmg import Calibration, Network, PowerLaw, Regularization, fit_exponent, transfer_network
from refmg_validation.figures import draw_exponents
from refmg_validation.levels import LEVELS, LevelData
from refmg_validation.presets import PRESETS
from refmg_validation.records import provenance, study_command, write_figure, write_json
from refmg_validation.resolution import load_levels, trained_networks
from refmg_validation.resolution_moves import UNCHANGED, unlabelled

EXPONENTS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
CONSTANTS = (1.0, 4.0)
NAMED = (UNCHANGED, "linear", "average", "power-law-joint", "spectrum", "calibrated")
REGIMES = {
    "weak regularisation": Regularization(alpha_W=1e-8, alpha_t=1e-5, alpha_0=1e-5),
    "preset": PRESETS["small"].training.regularization,
    "small stencils": Regularization(alpha_W=1e-8, alpha_t=1e-5, alpha_0=1e-1),
}


Regime = tuple[str, dict[str, Network], dict[str, LevelData]]


def ways(levels: dict[str, LevelData]) -> dict[str, Any]:
    """Return every transfer of the study by its label."""
    fitted = {level: fit_exponent(levels[level].train.x) for level in LEVELS}
    laws = {f"p = {p:g}": PowerLaw(p) for p in EXPONENTS}
    laws |= {f"p fitted to {level} images, {p:.2f}": PowerLaw(p) for level, p in fitted.items()}
    laws |= {f"p = 2, constant = {c:g}": PowerLaw(2.0, constant=c) for c in CONSTANTS}
    calibrations = {"calibrated, prior 'unchanged'": Calibration(prior=UNCHANGED)}
    return laws | {name: name for name in NAMED} | calibrations


def measure(networks: dict[str, Network], levels: dict[str, LevelData]) -> list[dict[str, Any]]:
    """Return the validation accuracies of both moved networks, a row a transfer."""
    images, rows = unlabelled(levels), []
    natives = {level: accuracy_of(networks[level], levels[level]) for level in LEVELS}
    rows.append({"transfer": "native"} | natives)
    for label, transfer in ways(levels).items():
        row: dict[str, Any] = {"transfer": label}
        for source, target in (("fine", "coarse"), ("coarse", "fine")):
            shape = networks[target].architecture.shape
            moved = transfer_network(networks[source], shape, transfer, **images)
            row[target] = accuracy_of(moved, levels[target])
        if isinstance(transfer, PowerLaw) and transfer.constant == float("inf"):
            row["exponent"] = transfer.exponent
        rows.append(row)
    return rows


def accuracy_of(network: Network, data: LevelData) -> float:
    """Return the accuracy on validation images."""
    return network.accuracy(data.validation.x, data.validation.labels)


def trained_regimes(data: Path | None, iterations: int, work: Path) -> Iterator[Regime]:
    """Yield name, networks and images of every regime; training goes on where it was interrupted."""
    base = PRESETS["small"]
    for name, weights in REGIMES.items():
        training = replace(base.training, iterations=iterations, regularization=weights)
        preset = replace(base, training=training)
        levels, about = load_levels(preset, data, seed=0)
        folder = work / name.replace(" ", "-")
        networks, _ = trained_networks(preset, levels, about, folder, lambda level, record: None)
        yield name, networks, levels


def run_study(data: Path | None, iterations: int, work: Path) -> dict[str, list[dict[str, Any]]]:
    """Train two networks a regime and move each in every way."""
    regimes = trained_regimes(data, iterations, work)
    return {name: measure(networks, levels) for name, networks, levels in regimes}


def study_table(found: dict[str, list[dict[str, Any]]]) -> Table:
    """Return accuracies in %, on coarse images / on fine images."""
    table = Table(title="Validation accuracy in %: fine network on coarse images / coarse on fine images")
    for name in ("transfer", *found):
        table.add_column(name)
    for rows in zip(*found.values(), strict=True):
        cells = [f"{100 * row['coarse']:.1f} / {100 * row['fine']:.1f}" for row in rows]
        table.add_row(rows[0]["transfer"], *cells)
    return table


def main() -> None:
    """Run the study, print its table, record and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps the networks between runs")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--iterations", type=int, default=8)
    given = parser.parse_args()
    found = run_study(given.data, given.iterations, given.work)
    Console(width=130).print(study_table(found))
    command = study_command("refmg_validation.exponent_study", given)
    about = provenance() | {"command": command, "preset": "small", "iterations": given.iterations, "seed": 0}
    write_json(given.output / "exponents.json", about | {"found": found})
    write_figure(given.output / "exponents.png", draw_exponents(found))


if __name__ == "__main__":
    main()
