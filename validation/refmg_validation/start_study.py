"""Is a moved network the better start for training? Accuracy after a few iterations from each transfer.

``python -m refmg_validation.start_study --networks FOLDER --output validation/results/starts``

The folder is that of one seed of ``refmg reproduce resolution``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from refmg import Network, load_network, random_network
from refmg.optimization import TrainingSettings, block_coordinate_descent
from refmg_validation.presets import Preset, named_preset
from refmg_validation.records import provenance, write_figure, write_json
from refmg_validation.resolution import LEVELS, LevelData, load_levels, moved_both_ways

RANDOM = "random"
STARTS = ("unchanged", "linear", "average", "power-law", "synthetic", "calibrated")
SHOWN = ("moved", 0, 1, 2, 5)


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


def starts(networks: dict[str, Network], levels: dict[str, LevelData], seed: int) -> Iterator[Start]:
    """Yield a random network and one from each transfer, for both levels.

    Parameters
    ----------
    networks : dict of Network
        Trained at both levels.
    levels : dict of LevelData
        Their images.
    seed : int
        Of the random network; another one than that of the trained networks, which it must not repeat.
    """
    for level in LEVELS:
        architecture = networks[level].architecture
        yield Start(level, RANDOM, random_network(architecture, seed, dtype=networks[level].dtype))
    for name in STARTS:
        for level, network in moved_both_ways(networks, levels, name).items():
            yield Start(level, name, network)


def run_study(
    networks: dict[str, Network], levels: dict[str, LevelData], preset: Preset, examples: int
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Train from every start; return accuracies by level and start."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {level: {} for level in LEVELS}
    for start in starts(networks, levels, preset.training.seed + 1):
        rows = start.accuracies(levels[start.level], examples, preset.training)
        found[start.level][start.name] = rows
        print(start.level, start.name, *(f"{100 * row['test']:.2f}" for row in rows), flush=True)
    return found


def study_table(found: dict[str, dict[str, list[dict[str, Any]]]]) -> Table:
    """Return test accuracies in % after the iterations that are asked about."""
    table = Table(title="Test accuracy in % after so many iterations (0: the classifier alone)")
    for name in ("images", "start", *map(str, SHOWN)):
        table.add_column(name, justify="left" if name in ("images", "start") else "right")
    for level, by_name in found.items():
        for name, rows in by_name.items():
            by_number = {row["after"]: row["test"] for row in rows}
            cells = [f"{100 * by_number[n]:.2f}" if n in by_number else "" for n in SHOWN]
            table.add_row(level, name, *cells)
    return table


def draw_starts(found: dict[str, dict[str, list[dict[str, Any]]]]) -> Figure:
    """Draw test accuracy against iterations, a line a start, coarse and fine images side by side."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, (level, by_name) in zip(figure.subplots(1, 2), found.items(), strict=True):
        for name, rows in by_name.items():
            style = {"color": "black", "linestyle": "--"} if name == RANDOM else {}
            errors = [100 * (1 - row["test"]) for row in rows]
            axes.semilogy(np.arange(len(rows)) - 1, errors, marker=".", label=name, **style)
        axes.set_xticks(np.arange(len(rows)) - 1, ["moved", *range(len(rows) - 1)])
        axes.set_xlabel("iterations of block coordinate descent (0: the classifier alone)")
        axes.set_title(f"{level} images")
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("test error in %")
    figure.axes[1].legend(fontsize="small")
    return figure


def main() -> None:
    """Run the study, print its table and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=Path, required=True, help="folder of coarse and fine network")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--examples", type=int, default=10_000, help="training images for the iterations")
    parser.add_argument("--iterations", type=int, default=5)
    given = parser.parse_args()
    loaded = {level: load_network(given.networks / f"{level}.safetensors") for level in LEVELS}
    preset, seed = named_preset(given.preset), loaded["fine"][1]["fingerprint"]["training"]["seed"]
    training = replace(preset.training, iterations=given.iterations, seed=seed)
    preset = replace(preset, training=training)
    levels, about = load_levels(preset, given.data, seed)
    networks = {level: network for level, (network, _) in loaded.items()}
    found = run_study(networks, levels, preset, given.examples)
    Console(width=110).print(study_table(found))
    command = f"python -m refmg_validation.start_study --networks FOLDER --output {given.output}"
    content = {"command": command, "preset": preset.as_dict(), "data": about, "examples": given.examples}
    write_json(given.output / "starts.json", provenance() | content | {"found": found})
    write_figure(given.output / "starts.png", draw_starts(found))


if __name__ == "__main__":
    main()
