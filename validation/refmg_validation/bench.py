"""Speed against a peer in the same process: medians and ratios, recorded with how they were made."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from scipy import ndimage

from refmg import Convolution, get_backend
from refmg_validation.records import provenance, write_json

SHAPE, EXAMPLES, REPEATS = (28, 28), 128, 9


def seconds(function: Callable[[], Any]) -> float:
    """Return the median time of a call, after one that is not counted."""
    function()
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return median(times)


def scipy_peer(stencil: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return the convolution by ``scipy.ndimage.correlate``, channel by channel."""
    out = np.zeros((stencil.shape[0], *Y.shape[1:]), dtype=Y.dtype)
    for o, row in enumerate(stencil):
        for i, s in enumerate(row):
            out[o] += ndimage.correlate(Y[i], s[..., None], mode="wrap")
    return out


def torch_peer(stencil: np.ndarray, Y: np.ndarray) -> Callable[[], Any] | None:
    """Return the convolution by PyTorch with circular padding, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(Y, -1, 0)))
    c_out, c_in = stencil.shape[:2]
    layer = torch.nn.Conv2d(c_in, c_out, 3, padding=1, padding_mode="circular", bias=False).to(x.dtype)
    layer.weight = torch.nn.Parameter(torch.from_numpy(stencil), requires_grad=False)
    return lambda: layer(x)


def run_case(channels: int, dtype: str) -> dict[str, Any]:
    """Time one convolution, channels to channels; speeds in GF/s of the direct algorithm."""
    rng, backend = np.random.default_rng(0), get_backend()
    stencil = rng.normal(size=(channels, channels, 3, 3)).astype(dtype)
    Y = rng.normal(size=(channels, *SHAPE, EXAMPLES)).astype(dtype)
    K, there = Convolution(stencil, SHAPE, backend=backend), backend.asarray(Y)
    K.prepare()
    peers: dict[str, Callable[[], Any] | None] = {
        "refmg": lambda: backend.to_numpy(K.apply(there)),
        "scipy.ndimage": lambda: scipy_peer(stencil, Y),
        "torch": torch_peer(stencil, Y),
    }
    flops = 2 * 9 * channels**2 * np.prod(SHAPE) * EXAMPLES
    speeds = {name: round(float(flops / seconds(f) / 1e9), 2) for name, f in peers.items() if f}
    ratios = {f"refmg / {name}": round(speeds["refmg"] / speed, 3) for name, speed in speeds.items()}
    ratios.pop("refmg / refmg")
    return {"channels": channels, "dtype": dtype, "GF/s": speeds, "ratios": ratios}


def main() -> None:
    """Time the cases, print them and record them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    cases = [run_case(channels, dtype) for dtype in ("float32", "float64") for channels in (4, 8, 16)]
    for case in cases:
        print(case)
    about = provenance() | {"command": f"python -m refmg_validation.bench --output {output}"}
    write_json(
        output, about | {"backend": get_backend().name, "grid": SHAPE, "examples": EXAMPLES, "cases": cases}
    )


if __name__ == "__main__":
    main()
