"""Multiscale gradients against plain stochastic gradients at equal cost, on the shipped digits.

``REFMG_BACKEND=numba python -m refmg_validation.multiscale_study --output validation/results/multiscale``
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from refmg import (
    Architecture,
    Batches,
    Network,
    NetworkObjective,
    Regularization,
    random_network,
    transfer_network,
)
from refmg.data import load_images, split_images
from refmg.optimization import (
    Iteration,
    MultiscaleGradient,
    MultiscaleSettings,
    StochasticSettings,
    multiscale_descent,
    optimal_examples,
    step_cost,
    stochastic_descent,
    variance_ratio,
)
from refmg.optimization.scaling import usual_scale
from refmg_validation.records import provenance, write_json
from refmg_validation.training_run import Examples

COMMAND = "python -m refmg_validation.multiscale_study"
COARSER = {2: ((14, 14),), 3: ((14, 14), (7, 7))}
TRANSFERS = ("unchanged", "linear", "average", "power-law")
POINTS = (0, 1, 3, 10)
WEIGHTS = Regularization(alpha_W=1e-6, alpha_t=1e-5, alpha_0=1e-4)
TRAINING = StochasticSettings("adam", 5e-3, epochs=max(POINTS), examples=64, regularization=WEIGHTS)
RACE_EPOCHS = 5


def points(network: Network, train: Examples) -> Iterator[tuple[int, Network]]:
    """Yield networks of one training on the finest grid, by epochs behind them."""
    for step in stochastic_descent(network, train.x, train.labels, TRAINING):
        if step.number + 1 in POINTS:
            yield step.number + 1, step.network


@dataclass(frozen=True)
class Point:
    """A network of a training, all examples, and the full gradient that is to be estimated."""

    epochs: int
    network: Network
    batches: Batches

    @cached_property
    def exact(self) -> Any:
        """The full gradient."""
        objective = NetworkObjective(self.network, self.batches)
        return objective.value_and_gradient(objective.vector(self.network))[1]

    def measured(self, transfer: str, levels: int, pilot: int, draws: int) -> dict[str, Any]:
        """Return variances by term, the ratio that they promise, and the ratio that draws give."""
        estimator = MultiscaleGradient(self.network, self.batches, COARSER[levels], transfer)
        rng = np.random.default_rng(levels)
        chosen = rng.choice(estimator.examples, pilot, replace=False)
        variances, single = estimator.variances(self.network, chosen)
        sizes = optimal_examples(variances, estimator.costs, TRAINING.examples, estimator.examples)
        return {
            "epochs": self.epochs,
            "transfer": transfer,
            "levels": levels,
            "variances": variances,
            "single_variance": single,
            "promised_ratio": variance_ratio(variances, estimator.costs, single),
            "examples": sizes,
            "cost": step_cost(sizes, estimator.costs),
            "drawn_error": self.error(estimator, sizes, draws),
        }

    def error(self, estimator: MultiscaleGradient, sizes: tuple[int, ...], draws: int) -> float:
        """Return the mean square error of estimates, in the variables in which steps are taken."""
        scale, rng, xp = usual_scale(self.network), np.random.default_rng(0), self.network.backend.xp
        found = [estimator.estimate(self.network, rng, sizes).gradient for _ in range(draws)]
        return float(np.mean([float(xp.sum(((g - self.exact) / scale) ** 2)) for g in found]))

    def rows(self, pilot: int, draws: int) -> Iterator[dict[str, Any]]:
        """Yield all transfers and levels; plain gradients have batches of the whole budget."""
        fine = MultiscaleGradient(self.network, self.batches, ())
        plain = self.error(fine, (TRAINING.examples,), draws)
        for transfer in TRANSFERS:
            for levels in COARSER:
                row = self.measured(transfer, levels, pilot, draws)
                yield row | {"drawn_ratio": row["drawn_error"] / plain}


def race(network: Network, train: Examples, validation: Examples) -> dict[str, Any]:
    """Return loss and accuracy after epochs of equal work."""
    settings = replace(TRAINING, epochs=RACE_EPOCHS)
    runs: dict[str, Iterator[Iteration]] = {
        "fine only": stochastic_descent(network, train.x, train.labels, settings)
    }
    for transfer in TRANSFERS:
        chosen = MultiscaleSettings(COARSER[3], transfer=transfer, stochastic=settings)
        runs[transfer] = multiscale_descent(network, train.x, train.labels, chosen)
    return {name: [_row(step, validation) for step in steps] for name, steps in runs.items()}


def _row(step: Iteration, validation: Examples) -> dict[str, Any]:
    return step.record() | {"validation": step.network.accuracy(validation.x, validation.labels)}


def seconds_by_level(network: Network, batches: Batches) -> list[float]:
    """Return seconds of the gradient of one example on each grid, in batches of 64: the cost model's test."""
    estimator = MultiscaleGradient(network, batches, COARSER[3], "linear")
    found, chosen = [], np.arange(64)
    for level, examples in enumerate(estimator.levels):
        net = transfer_network(network, estimator.shapes[level], "unchanged")
        objective = NetworkObjective(net, examples.take(chosen))
        vector = objective.vector(net)
        objective.value_and_gradient(vector)  # compiles, and loads what is compiled
        start = perf_counter()
        for _ in range(3):
            objective.value_and_gradient(vector)
        found.append((perf_counter() - start) / 3 / len(chosen))
    return found


def variance_table(rows: list[dict[str, Any]]) -> Table:
    """Return ratios of variances at equal cost; below 1 where coarse grids help."""
    table = Table(title="Variance at equal cost by that of the plain stochastic gradient (below 1: better)")
    columns = ("epochs", "transfer", "levels", "variance of each term by V", "examples", "promised", "drawn")
    for name in columns:
        table.add_column(name, justify="right")
    for row in rows:
        terms = " ".join(f"{v / row['single_variance']:.3g}" for v in row["variances"])
        sizes = " ".join(map(str, row["examples"]))
        ratios = [f"{row[name]:.2f}" for name in ("promised_ratio", "drawn_ratio")]
        table.add_row(str(row["epochs"]), row["transfer"], str(row["levels"]), terms, sizes, *ratios)
    return table


def race_table(found: dict[str, list[dict[str, Any]]]) -> Table:
    """Return training loss and validation accuracy after each epoch of work."""
    table = Table(title="After epochs of equal work, 3 levels: training loss, validation accuracy in %")
    for name in ("gradient", *(str(i + 1) for i in range(RACE_EPOCHS))):
        table.add_column(name, justify="left" if name == "gradient" else "right")
    for name, rows in found.items():
        table.add_row(name, *(f"{row['loss']:.3f}, {100 * row['validation']:.1f}" for row in rows))
    return table


def main() -> None:
    """Run the study, print its tables and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--pilot", type=int, default=64, help="examples that variances are measured from")
    parser.add_argument("--draws", type=int, default=8, help="estimates that are drawn")
    given = parser.parse_args()
    everything = load_images(None, "train")
    parts = split_images(everything, (given.train, 1000), 0)
    train, validation = (Examples(part.features("float64"), part.labels) for part in parts)
    began = process_time()
    start = random_network(Architecture(train.x.shape[1:-1], final_time=2.0), 0, dtype="float64")
    batches = Batches(train.x, train.labels, 10, 64, start.backend, "float64")
    seconds = seconds_by_level(start, batches)
    rows = [
        row
        for epochs, network in [(0, start), *points(start, train)]
        for row in Point(epochs, network, batches).rows(given.pilot, given.draws)
    ]
    found = race(start, train, validation)
    console = Console(width=120)
    console.print(variance_table(rows), race_table(found))
    console.print(f"Seconds a gradient of one example, by level: {[f'{s:.2e}' for s in seconds]}")
    content = {
        "command": f"REFMG_BACKEND={start.backend.name} {COMMAND} --output {given.output}",
        "data": {"name": everything.name, "train": given.train, "validation": 1000, "seed": 0},
        "architecture": start.architecture.as_dict(),
        "training": asdict(TRAINING),
        "pilot": given.pilot,
        "draws": given.draws,
        "processor_seconds": round(process_time() - began, 1),
        "seconds_by_level": seconds,
    }
    write_json(given.output / "multiscale.json", provenance() | content | {"rows": rows, "race": found})


if __name__ == "__main__":
    main()
