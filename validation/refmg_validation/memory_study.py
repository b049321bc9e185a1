"""Peak memory of one gradient against depth, for each way to keep states.

``python -m refmg_validation.memory_study --output validation/results/memory``
"""

from __future__ import annotations

import argparse
import tracemalloc
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from refmg import Architecture, random_network
from refmg.trajectory import STORAGES, linearized
from refmg_validation.figures import draw_memory
from refmg_validation.records import provenance, write_figure, write_json

SHAPE, CHANNELS, EXAMPLES, NODES = (16, 16), 4, 16, 8
DEPTHS = (64, 128, 256, 512, 1024)


def peak(layers: int, storage: str) -> tuple[dict[str, Any], np.ndarray]:
    """Return peak bytes and seconds of a propagation with its adjoint, and the gradient.

    Eight controls, whatever the depth: parameters and operators are the same at every depth, and what
    grows is the memory of states. The operators are assembled before measuring starts.
    """
    architecture = Architecture(
        SHAPE,
        channels=CHANNELS,
        layers=layers,
        final_time=4.0,
        layer="symmetric",
        integrator="leapfrog",
        control_nodes=NODES,
        interpolation="constant",
    )
    rng = np.random.default_rng(0)
    network = random_network(architecture, 0, "numpy", "float64")
    # Stencils of norm about 1: smaller ones would hide what undoing the steps costs.
    network = network.with_controls(network.controls.map(lambda a: 0.3 * rng.normal(size=a.shape)))
    p = network.propagation.prepared
    x = rng.normal(size=(1, *SHAPE, EXAMPLES))
    P = rng.normal(size=(CHANNELS, *SHAPE, EXAMPLES))
    linearized(p, x[..., :1], "checkpoint").adjoint(P[..., :1])  # first use makes the transposes
    tracemalloc.start()
    start = perf_counter()
    gradient = linearized(p, x, storage).adjoint(P).flat(np)
    seconds, bytes_ = perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    state = 2 * P.nbytes
    row = {
        "layers": layers,
        "storage": storage,
        "bytes": bytes_,
        "states": bytes_ / state,
        "seconds": seconds,
    }
    return row, gradient


def measure() -> list[dict[str, Any]]:
    """Return one row a depth and storage, each with its gradient's distance from the stored one."""
    rows = []
    for layers in DEPTHS:
        reference: np.ndarray | None = None
        for storage in STORAGES:
            row, gradient = peak(layers, storage)
            reference = gradient if reference is None else reference
            distance = float(np.linalg.norm(gradient - reference) / np.linalg.norm(reference))
            rows.append(row | {"difference": distance})
    return rows


def memory_table(rows: list[dict[str, Any]]) -> Table:
    """Return peak memory in MB and in states, and the gradients' differences."""
    table = Table(title="Peak memory of one gradient; leapfrog, symmetric layer")
    for name in ("layers", "storage", "MB", "states", "seconds", "gradient differs by"):
        table.add_column(name, justify="left" if name == "storage" else "right")
    for r in rows:
        sizes = (f"{r['bytes'] / 1e6:.1f}", f"{r['states']:.1f}", f"{r['seconds']:.2f}")
        table.add_row(str(r["layers"]), r["storage"], *sizes, f"{r['difference']:.1e}")
    return table


def main() -> None:
    """Measure, print the table and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    rows = measure()
    Console(width=110).print(memory_table(rows))
    about = provenance() | {"command": f"python -m refmg_validation.memory_study --output {output}"}
    sizes = {"grid": SHAPE, "channels": CHANNELS, "examples": EXAMPLES, "control_nodes": NODES}
    write_json(output / "memory.json", about | sizes | {"rows": rows})
    write_figure(output / "memory.png", draw_memory(rows))


if __name__ == "__main__":
    main()
