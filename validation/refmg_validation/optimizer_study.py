"""Block coordinate descent against Adam and others on MNIST, at equal wall time.

``python -m refmg_validation.optimizer_study --output validation/results/optimizers``
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from rich.console import Console
from rich.table import Table

from refmg import Architecture, Network, Regularization, random_network
from refmg.data import load_images, split_images
from refmg.optimization import (
    Iteration,
    StochasticSettings,
    TrainingSettings,
    block_coordinate_descent,
    lbfgs,
    stochastic_descent,
    variable_projection,
)
from refmg_validation.figures import draw_race
from refmg_validation.records import provenance, write_figure, write_json
from refmg_validation.training_run import Examples

WEIGHTS = Regularization(alpha_W=1e-6, alpha_t=1e-5, alpha_0=1e-4)
SECOND_ORDER = TrainingSettings(iterations=10_000, hessian_examples=1000, regularization=WEIGHTS)


def runs(network: Network, train: Examples) -> dict[str, Iterator[Iteration]]:
    """Return the optimisers, none of them started."""
    x, labels = train.x, train.labels

    def stochastic(method: str, rate: float) -> Iterator[Iteration]:
        settings = StochasticSettings(method, rate, epochs=10_000, regularization=WEIGHTS)
        return stochastic_descent(network, x, labels, settings)

    return {
        "block coordinate descent": block_coordinate_descent(network, x, labels, SECOND_ORDER),
        "variable projection": variable_projection(network, x, labels, SECOND_ORDER),
        "Adam, rate 0.001": stochastic("adam", 1e-3),
        "Adam, rate 0.01": stochastic("adam", 1e-2),
        "SGD with momentum, rate 0.01": stochastic("sgd", 1e-2),
        "L-BFGS": _lbfgs(network, x, labels),
    }


def _lbfgs(network: Network, x: Any, labels: Any) -> Iterator[Iteration]:
    # SciPy calls back; a thread and a queue of one turn that into an iterator, one step at a time.
    steps: Queue[Iteration] = Queue(maxsize=1)
    Thread(target=lbfgs, args=(network, x, labels, SECOND_ORDER, steps.put), daemon=True).start()
    while True:
        yield steps.get()


def race(
    name: str, steps: Iterator[Iteration], splits: dict[str, Examples], seconds: float
) -> list[dict[str, Any]]:
    """Run one optimiser for so many seconds of its own; accuracies are measured between iterations."""
    found, elapsed = list[dict[str, Any]](), 0.0
    for step in steps:
        elapsed += step.seconds
        accuracies = {split: step.network.accuracy(e.x, e.labels) for split, e in splits.items()}
        found.append(step.record() | {"elapsed": elapsed, **accuracies})
        print(f"{name}: {elapsed:.1f} s, loss {step.loss:.4f}, {accuracies}", flush=True)
        if elapsed >= seconds:
            break
    return found


def race_table(found: dict[str, list[dict[str, Any]]], seconds: float) -> Table:
    """Return loss and accuracies at the end, and when 95 % of the validation images were right."""
    table = Table(title=f"After {seconds:g} s of training each")
    for name in ("optimiser", "iterations", "training objective", "validation %", "test %", "s to 95 %"):
        table.add_column(name, justify="left" if name == "optimiser" else "right")
    for name, records in found.items():
        last = records[-1]
        first = next((f"{r['elapsed']:.0f}" for r in records if r["validation"] >= 0.95), "-")
        objective = f"{last['loss'] + last['regularizer']:.4f}"
        ends = [f"{100 * last[split]:.2f}" for split in ("validation", "test")]
        table.add_row(name, str(len(records)), objective, *ends, first)
    return table


def main() -> None:
    """Run the race, print its table and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=150.0)
    given = parser.parse_args()
    everything, test = load_images(given.data, "train"), load_images(given.data, "test")
    train, validation = split_images(everything, (given.train, given.train // 2), 0)
    parts = {"train": train, "validation": validation, "test": test}
    splits = {name: Examples(part.features("float32"), part.labels) for name, part in parts.items()}
    architecture = Architecture(splits["train"].x.shape[1:-1], final_time=2.0)
    network = random_network(architecture, 0, dtype="float32")
    unseen = {name: splits[name] for name in ("validation", "test")}
    found = {
        name: race(name, steps, unseen, given.seconds)
        for name, steps in runs(network, splits["train"]).items()
    }
    Console(width=110).print(race_table(found, given.seconds))
    about = provenance() | {
        "command": f"python -m refmg_validation.optimizer_study --output {given.output}",
        "seconds": given.seconds,
        "data": {"name": everything.name, "train": given.train, "validation": given.train // 2},
        "architecture": architecture.as_dict(),
        "regularization": asdict(WEIGHTS),
    }
    write_json(given.output / "optimizers.json", about | {"found": found})
    write_figure(given.output / "optimizers.png", draw_race(found))


if __name__ == "__main__":
    main()
