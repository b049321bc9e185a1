"""Which random images calibrate best? Validation images only.

``python -m refmg_validation.synthetic_study --networks FOLDER FOLDER --output validation/results/synthetic``

Each folder holds a coarse and a fine network of ``refmg reproduce resolution`` or of the sweep over
regularisers.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from refmg import Network, SyntheticImages, load_network, transfer_network
from refmg_validation.presets import named_preset
from refmg_validation.records import provenance, write_json
from refmg_validation.resolution import LEVELS, LevelData, load_levels

EXPONENTS, THRESHOLDS, COUNT = (2.0, 3.0, 4.0), (0.0, 0.5, 1.0), 500
COUNTS = (100, 2000)


def settings(sigma: float) -> list[SyntheticImages]:
    """Return what is compared: exponents and thresholds, then numbers of images."""
    base = SyntheticImages(count=COUNT, sigma=sigma)
    grid = [replace(base, exponent=p, threshold=t) for p, t in product(EXPONENTS, THRESHOLDS)]
    return [*grid, *(replace(base, count=count) for count in COUNTS)]


def measure(networks: dict[str, Network], levels: dict[str, LevelData], sigma: float) -> list[dict[str, Any]]:
    """Return validation accuracies of both directions, a row a setting."""
    rows = []
    for source in settings(sigma):
        row: dict[str, Any] = {name: getattr(source, name) for name in ("exponent", "threshold", "count")}
        for old, new in (("fine", "coarse"), ("coarse", "fine")):
            moved = transfer_network(networks[old], networks[new].architecture.shape, source)
            part = levels[new].validation
            row[new] = moved.accuracy(part.x, part.labels)
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--validation", type=int, default=5_000)
    given = parser.parse_args()
    preset = replace(named_preset("paper"), train=given.train, validation=given.validation)
    levels, about = load_levels(preset, given.data, seed=0)
    found = []
    for folder in given.networks:
        loaded = {level: load_network(folder / f"{level}.safetensors") for level in LEVELS}
        training = loaded["fine"][1]["fingerprint"]["training"]
        networks = {level: network for level, (network, _) in loaded.items()}
        rows = measure(networks, levels, preset.sigma)
        found.append({"regularization": training["regularization"], "rows": rows})
    command = f"python -m refmg_validation.synthetic_study --networks FOLDER FOLDER --output {given.output}"
    about |= {"validation": given.validation}
    write_json(
        given.output / "synthetic.json", provenance() | {"command": command, "data": about, "found": found}
    )


if __name__ == "__main__":
    main()
