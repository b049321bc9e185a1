"""How a classifier should move, and how many images a calibration needs; validation images only.

``python -m refmg_validation.moving_study --output validation/results/exponents --work FOLDER``

The folder is that of the exponent study.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from refmg import (
    BestProlongation,
    Calibration,
    Network,
    PowerLaw,
    prolongation_matrix,
    restriction_matrix,
    transfer_network,
)
from refmg.classifier import Classifier
from refmg_validation.exponent_study import accuracy_of, trained_regimes
from refmg_validation.levels import LevelData
from refmg_validation.records import provenance, study_command, write_json
from refmg_validation.resolution_moves import unlabelled

Matrix = np.ndarray
COUNTS = (50, 200, 500, 1000, 2000)
RIDGES = ((1e-4, 1e-3), (1e-2, 1e-3), (1e-2, 1e-2), (1e-1, 1e-2), (1e8, 1e-2), (1e-2, 1e8))
SMOOTHNESS = (0.0, 0.1, 2.0)
STENCILS = ("unchanged", "linear", "average", "power-law")


def weight_rules(fine: tuple[int, ...]) -> dict[str, dict[str, Callable[[Matrix], Matrix]]]:
    """Return the ways to move W as columns, to coarse and to fine images."""
    R, P = restriction_matrix(fine), prolongation_matrix(fine)
    factor = (2,) * len(fine)
    best, cells = BestProlongation(PowerLaw(2.0), fine, factor), 2 ** len(fine)
    return {
        "coarse": {"R": lambda W: R @ W, "best P^T / f^d": lambda W: best.apply_transpose(W) / cells},
        "fine": {
            "P": lambda W: P @ W,
            "f^d R^T": lambda W: cells * (R.T @ W),
            "best P": lambda W: best.apply(W),
        },
    }


def classifier_rows(networks: dict[str, Network], levels: dict[str, LevelData]) -> list[dict[str, Any]]:
    """Return accuracies for every rule of the classifier and several maps of stencils."""
    rows = []
    fine = networks["fine"].architecture.shape
    for target, rules in weight_rules(fine).items():
        source = networks["fine" if target == "coarse" else "coarse"]
        for stencils in STENCILS:
            moved = transfer_network(source, networks[target].architecture.shape, stencils)
            row: dict[str, Any] = {"images": target, "stencils": stencils}
            for name, rule in rules.items():
                classifier = _moved(source, moved, rule)
                row[name] = accuracy_of(moved.with_classifier(classifier), levels[target])
            rows.append(row)
    return rows


def _moved(source: Network, moved: Network, rule: Callable[[Matrix], Matrix]) -> Classifier:
    W = source.backend.to_numpy(source.classifier.W)
    columns = np.moveaxis(W, 0, -1).reshape(-1, W.shape[-1] * W.shape[0]).astype(np.float64)
    shape = (*moved.architecture.shape, W.shape[-1], W.shape[0])
    result = np.ascontiguousarray(np.moveaxis(rule(columns).reshape(shape), -1, 0))
    return Classifier(source.backend.asarray(result, dtype=source.dtype), source.classifier.mu)


def calibration_rows(networks: dict[str, Network], levels: dict[str, LevelData]) -> list[dict[str, Any]]:
    """Return accuracies by number of images, by ridges, for two priors, and by smoothness."""
    everything, rows = unlabelled(levels), []
    settings = [(Calibration(prior=p), m) for p in ("power-law", "unchanged") for m in COUNTS]
    settings += [
        (Calibration(prior=p, ridge=a, classifier_ridge=b), COUNTS[-1])
        for p in ("power-law", "unchanged")
        for a, b in RIDGES
    ]
    settings += [(Calibration(smoothness=mu), COUNTS[-1]) for mu in SMOOTHNESS]
    for calibration, m in settings:
        images = {name: x[..., :m] for name, x in everything.items()}
        row: dict[str, Any] = {"prior": calibration.prior, "images": m}
        row |= {"ridge": calibration.ridge, "classifier_ridge": calibration.classifier_ridge}
        row["smoothness"] = calibration.smoothness
        for source, target in (("fine", "coarse"), ("coarse", "fine")):
            shape = networks[target].architecture.shape
            row[target] = accuracy_of(
                transfer_network(networks[source], shape, calibration, **images), levels[target]
            )
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="the networks of the exponent study")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--iterations", type=int, default=8)
    given = parser.parse_args()
    found = {}
    for name, networks, levels in trained_regimes(given.data, given.iterations, given.work):
        found[name] = {
            "classifier": classifier_rows(networks, levels),
            "calibration": calibration_rows(networks, levels),
        }
        print(name, *found[name]["classifier"], *found[name]["calibration"], sep="\n", flush=True)
    command = study_command("refmg_validation.moving_study", given)
    about = provenance() | {"command": command, "preset": "small", "iterations": given.iterations, "seed": 0}
    write_json(given.output / "moving.json", about | {"found": found})


if __name__ == "__main__":
    main()
