"""What is paid once or beside the kernels: imports, compilation, memory, explicit assembly."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tracemalloc
from dataclasses import asdict
from typing import Any

import numpy as np

from refmg import convolution_matrix
from refmg.objective import NetworkObjective
from refmg_backends import Backend
from refmg_backends.sparse_assembly import forget_plans
from refmg_validation.bench.networks import Problem
from refmg_validation.bench.timing import time_call

# Deep and narrow, as the paper's networks; wide on a small grid, where scratch of kernels counts.
REMEMBERED = (Problem(layers=64), Problem(grid=14, channels=256, layers=8, examples=32))
_IMPORT = """
import sys, time
start = time.perf_counter()
import refmg
print(time.perf_counter() - start, "numba" in sys.modules, "cupy" in sys.modules)
"""
_CALLS = """
import time
import numpy as np
import refmg
start = time.perf_counter()
K = refmg.Convolution(np.ones((8, 8, 3, 3), np.float32), (8, 8), backend="numba")
Y = np.ones((8, 8, 8, 32), np.float32)
K.apply(Y)
print(time.perf_counter() - start)
"""


def _run(program: str, **environment: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REFMG_")}
    path = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-c", program]
    found = subprocess.run(
        command, env=kept | {"PYTHONPATH": path} | environment, capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def import_times() -> dict[str, Any]:
    """Return the median seconds of ``import refmg`` in fresh processes, and what it loads."""
    runs = [_run(_IMPORT) for _ in range(5)]
    seconds = sorted(float(run[0]) for run in runs)[2]
    return {"import refmg, s": round(seconds, 3), "loads numba": runs[0][1], "loads cupy": runs[0][2]}


def first_calls() -> dict[str, float]:
    """Return the seconds of a first numba convolution in float32: compiled, and from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        compiled, cached = (float(_run(_CALLS, NUMBA_CACHE_DIR=folder)[0]) for _ in range(2))
    return {"first call, s": round(compiled, 2), "first call from the cache, s": round(cached, 2)}


def gradient_memory(backend: Backend, dtype: str, problem: Problem) -> dict[str, Any]:
    """Return the peak memory of a gradient beside what its stored states need.

    Stored are, for each layer, its features and the slope of its activation, and the last features. In wide
    networks parameters, of which there are several copies, need more than the states.
    Only memory of NumPy counts, so that this is for the backends on the CPU.
    """
    network, _, _, batch = problem.make(backend, dtype)
    objective = NetworkObjective(network, [batch])
    vector = objective.vector(network)
    objective.value_and_gradient(vector)  # tables and compiled code are made once, and are no part of it
    backend.release()
    tracemalloc.start()
    objective.value_and_gradient(vector)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one = problem.channels * problem.grid**2 * problem.examples * np.dtype(dtype).itemsize
    stored = (2 * problem.layers + 1) * one
    return asdict(problem) | {"dtype": dtype, "peak bytes": peak, "stored bytes": stored,
                              "parameter bytes": int(vector.nbytes),
                              "peak / stored": round(peak / stored, 4)}  # fmt: skip


def assembly(shape: tuple[int, int] = (1000, 1000)) -> dict[str, Any]:
    """Time the explicit matrix of a 3 x 3 stencil beside PyAMG's ``stencil_grid``, for the same matrix.

    Twice: with nothing left of earlier assemblies, as for a new grid, and with what the last one left.
    PyAMG has zero boundaries only, and one channel; an empty record where it is not installed.
    """
    try:
        from pyamg.gallery import stencil_grid
    except ImportError:
        return {}
    stencil = np.arange(1.0, 10.0).reshape(3, 3)

    def again() -> Any:
        return convolution_matrix(stencil, shape, "zero")

    def first() -> Any:
        forget_plans()
        return again()

    def peer() -> Any:
        return stencil_grid(stencil, shape, format="csr")

    if abs(first() - peer()).max() != 0:
        raise AssertionError("PyAMG's matrix is another one")
    cold, warm, other = (time_call(call) for call in (first, again, peer))
    return {"grid": shape, "refmg": cold.as_dict(), "refmg again": warm.as_dict(), "pyamg": other.as_dict(),
            "refmg / pyamg": round(cold.median / other.median, 3),
            "refmg again / pyamg": round(warm.median / other.median, 3)}  # fmt: skip
