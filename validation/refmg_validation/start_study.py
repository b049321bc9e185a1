"""Is a moved network the better start for training? Accuracy after a few iterations from each transfer.

``python -m refmg_validation.start_study --networks OUT/seed-0 OUT/seed-1 --output validation/results/starts``

The folders are those of the seeds of ``refmg reproduce resolution --seeds N --output OUT``. Training goes by
the settings of the networks, their regularisation too. A study that was interrupted goes on with the next
seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from refmg import Network, get_backend, random_network
from refmg.optimization import TrainingSettings, block_coordinate_descent
from refmg_backends import RefmgError
from refmg_validation.damage import read_json
from refmg_validation.levels import LEVELS, LevelData
from refmg_validation.presets import Preset
from refmg_validation.records import provenance, study_command, write_figure, write_json
from refmg_validation.resolution_moves import moved_both_ways
from refmg_validation.start_tables import RANDOM, Found, draw_starts, over_seeds, study_table
from refmg_validation.trained_pair import TrainedPair

STARTS = ("unchanged", "linear", "average", "power-law", "spectrum", "synthetic", "calibrated")
VERSION = 2  # of what is recorded: 2 takes the regularisation of the networks


@dataclass(frozen=True)
class Start:
    """A network that begins its training on the images of a level.

    Attributes
    ----------
    level : {"coarse", "fine"}
        Whose images it sees.
    name : str
        The transfer that it comes from, or ``"random"``.
    network : Network
        Before any training on these images.
    """

    level: str
    name: str
    network: Network

    def accuracies(self, data: LevelData, examples: int, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return accuracies before training and after each iteration; number 0 is the classifier's alone."""
        x, labels = data.train.x[..., :examples], data.train.labels[:examples]
        rows: list[dict[str, Any]] = [{"after": "moved"} | _accuracy(self.network, data)]
        for step in block_coordinate_descent(self.network, x, labels, settings):
            rows.append({"after": step.number, "loss": step.loss} | _accuracy(step.network, data))
        return rows


def _accuracy(network: Network, data: LevelData) -> dict[str, float]:
    return {
        "validation": network.accuracy(data.validation.x, data.validation.labels),
        "test": network.accuracy(data.test.x, data.test.labels),
    }


def starts(
    networks: dict[str, Network], levels: dict[str, LevelData], seed: int, sigma: float = Preset.sigma
) -> Iterator[Start]:
    """Yield a random network and one from each transfer, for both levels.

    Parameters
    ----------
    networks : dict of Network
        Trained at both levels.
    levels : dict of LevelData
        Their images.
    seed : int
        Of the random network; another one than that of the trained networks, which it must not repeat.
    sigma : float
        Of the smoothing before coarse images are restricted.
    """
    for level in LEVELS:
        architecture = networks[level].architecture
        yield Start(level, RANDOM, random_network(architecture, seed, dtype=networks[level].dtype))
    for name in STARTS:
        for level, moved in moved_both_ways(networks, levels, name, sigma=sigma).items():
            yield Start(level, name, moved.network)


def run_study(
    networks: dict[str, Network], levels: dict[str, LevelData], preset: Preset, examples: int
) -> Found:
    """Train from every start; return accuracies by level and start."""
    found: Found = {level: {} for level in LEVELS}
    for start in starts(networks, levels, preset.training.seed + 1, preset.sigma):
        rows = start.accuracies(levels[start.level], examples, preset.training)
        found[start.level][start.name] = rows
        print(start.level, start.name, *(f"{100 * row['test']:.2f}" for row in rows), flush=True)
    return found


def checked_pairs(folders: list[Path]) -> list[TrainedPair]:
    """Return the networks of all folders.

    Raises
    ------
    RefmgError
        If two are of one seed, or they were trained with different settings.
    """
    pairs = [TrainedPair.read(folder) for folder in folders]
    seeds = [pair.settings.seed for pair in pairs]
    if len(set(seeds)) < len(seeds):
        raise RefmgError(f"found networks of the seeds {seeds}; expected each seed once")
    for pair in pairs[1:]:
        if replace(pair.settings, seed=seeds[0]) != pairs[0].settings:
            raise RefmgError(
                f"{pair.folder}: found networks trained with other settings than those of {pairs[0].folder}; "
                "expected a study of one regularisation"
            )
    return pairs


def seed_study(pair: TrainedPair, given: argparse.Namespace) -> dict[str, Any]:
    """Return the study of one pair, made or read: what is finished in the output is not done again."""
    levels, about = pair.levels(given.data)
    training = replace(pair.settings, iterations=given.iterations)
    # Through JSON, as what was written before comes back.
    wanted = json.loads(
        json.dumps(
            {"version": VERSION, "seed": training.seed, "training": training.as_dict(), "data": about}
            | {"starts": [RANDOM, *STARTS], "examples": given.examples, "backend": get_backend().name}
        )
    )
    path = given.output / f"seed-{training.seed}.json"
    if path.exists():
        known: dict[str, Any] = read_json(path, "delete it to study this seed again")
        if isinstance(known, dict) and known.get("settings") == wanted:
            return known
    found = run_study(pair.networks, levels, replace(pair.preset, training=training), given.examples)
    result = {"settings": wanted, "found": found}
    write_json(path, result)
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    told = "folders of coarse and fine networks, a seed each"
    parser.add_argument("--networks", type=Path, nargs="+", required=True, help=told)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--examples", type=int, default=10_000, help="training images for the iterations")
    parser.add_argument("--iterations", type=int, default=5)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the study, print its table and record it; bad input gives one line and exit status 2."""
    given = parse(arguments)
    try:
        runs = [seed_study(pair, given) for pair in checked_pairs(given.networks)]
    except RefmgError as error:
        print(f"refmg: {error}", file=sys.stderr)
        return 2
    found = over_seeds([run["found"] for run in runs])
    Console(width=130).print(study_table(found))
    content = {"command": study_command("refmg_validation.start_study", given), "runs": runs, "found": found}
    write_json(given.output / "starts.json", provenance() | content)
    write_figure(given.output / "starts.png", draw_starts(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
