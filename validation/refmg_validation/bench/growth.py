"""How the time of a gradient grows with each size of the problem.

``python -m refmg_validation.bench.growth --json growth.json`` times these alone, by the chosen backend.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from refmg import get_backend
from refmg.objective import NetworkObjective
from refmg_backends import Backend
from refmg_validation.bench.networks import Problem
from refmg_validation.bench.timing import Timing, time_in_turns
from refmg_validation.records import provenance, study_command, write_json

SWEEPS: dict[str, list[Problem]] = {
    "pixels": [Problem(grid=n) for n in (14, 20, 28, 40, 56)],
    "channels": [Problem(channels=c) for c in (8, 16, 32, 64)],
    "layers": [Problem(layers=k) for k in (4, 8, 16, 32, 64)],
    "examples": [Problem(examples=m) for m in (64, 128, 256, 512)],
}


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Return the slope of a straight line through the logarithms.

    Examples
    --------
    >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def affine(sizes: list[float], seconds: list[float]) -> tuple[float, float, float]:
    """Return what is spent once, what for each, and the largest relative error of the two together.

    Least squares of relative errors.

    Examples
    --------
    >>> once, each, error = affine([1, 2, 4], [3.0, 4.0, 6.0])
    >>> round(once, 6), round(each, 6), error < 1e-12
    (2.0, 1.0, True)
    """
    A, measured = np.stack([np.ones(len(sizes)), np.asarray(sizes, float)], 1), np.array(seconds)
    (once, each), *_ = np.linalg.lstsq(A / measured[:, None], np.ones(len(sizes)), rcond=None)
    error = np.abs(A @ (once, each) / measured - 1).max()
    return float(once), float(each), float(error)


def gradients(problem: Problem, backend: Backend, dtype: str) -> Callable[[], Any]:
    """Return a call that computes one gradient."""
    network, _, _, batch = problem.make(backend, dtype)
    objective = NetworkObjective(network, [batch])
    vector = objective.vector(network)
    return lambda: objective.value_and_gradient(vector)


def growth_row(name: str, sizes: list[float], times: list[Timing]) -> dict[str, Any]:
    """Return what is recorded of one sweep; times in milliseconds."""
    ms = [1e3 * t.median for t in times]
    once, each, error = affine(sizes, ms)
    return {
        "against": name,
        "sizes": sizes,
        "ms": [round(t, 3) for t in ms],
        "spread": [round(t.spread, 3) for t in times],
        "exponent": round(exponent(sizes, ms), 3),
        "once, ms": round(once, 3),
        "each, ms": round(each, 6),
        "affine error": round(error, 3),
    }


def growth(backend: Backend, dtype: str) -> Iterator[dict[str, Any]]:
    """Yield time of a gradient against each size of the problem, with fitted exponent and straight line.

    The problems of a sweep take turns, so that a machine that becomes slower bends no line.
    """
    for name, problems in SWEEPS.items():
        sizes = [p.grid**2 if name == "pixels" else getattr(p, name) for p in problems]
        calls = [gradients(p, backend, dtype) for p in problems]
        yield growth_row(name, sizes, time_in_turns(calls, backend.synchronize))


def in_words(row: dict[str, Any]) -> str:
    """Return a row in words.

    Examples
    --------
    >>> row = {"against": "layers", "exponent": 0.93, "once, ms": 7.4, "each, ms": 7.2, "affine error": 0.02}
    >>> in_words(row)
    'time of a gradient grows with layers to the power 0.93: 7.4 ms and 7.2 ms for each, within 2.0 %'
    """
    line = f"time of a gradient grows with {row['against']} to the power {row['exponent']:.2f}"
    if "once, ms" not in row:
        return line
    spent = f"{row['once, ms']:.2g} ms and {row['each, ms']:.2g} ms for each"
    return f"{line}: {spent}, within {100 * row['affine error']:.1f} %"


def main(arguments: list[str] | None = None) -> int:
    """Time the sweeps, print a line for each and record them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    given, backend, console = parser.parse_args(arguments), get_backend(), Console(soft_wrap=True)
    rows = []
    for row in growth(backend, given.dtype):
        rows.append(row)
        console.print(in_words(row))
    about = {"command": study_command("refmg_validation.bench.growth", given), "backend": backend.name}
    write_json(given.json, provenance() | about | {"dtype": given.dtype, "growth": rows})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
