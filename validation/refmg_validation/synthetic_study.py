"""Which random images calibrate best? Validation images only.

``python -m refmg_validation.synthetic_study --networks FOLDER FOLDER --output validation/results/synthetic``

Each folder holds a coarse and a fine network of ``refmg reproduce resolution`` or of the sweep over
regularisers. Each pair is measured on its own validation images, which have trained neither network.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

from refmg import Network, SyntheticImages, transfer_network
from refmg_backends import RefmgError
from refmg_validation.levels import LevelData
from refmg_validation.records import provenance, study_command, write_json
from refmg_validation.trained_pair import TrainedPair

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


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and record; bad input gives one line and exit status 2."""
    given, found = parse(arguments), []
    try:
        for pair in [TrainedPair.read(folder) for folder in given.networks]:
            levels, about = pair.levels(given.data)
            rows = measure(pair.networks, levels, pair.preset.sigma)
            trained = {"regularization": asdict(pair.settings.regularization), "seed": pair.settings.seed}
            found.append(trained | {"data": about, "rows": rows})
    except RefmgError as error:
        print(f"refmg: {error}", file=sys.stderr)
        return 2
    about = {"command": study_command("refmg_validation.synthetic_study", given)}
    write_json(given.output / "synthetic.json", provenance() | about | {"found": found})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
