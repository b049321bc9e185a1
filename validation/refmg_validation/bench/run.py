"""All measurements of a backend, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refmg_backends import Backend
from refmg_validation.bench import surroundings
from refmg_validation.bench.growth import growth, in_words
from refmg_validation.bench.kernels import kernel_cases
from refmg_validation.bench.limits import measure_limits
from refmg_validation.bench.networks import network_cases
from refmg_validation.bench.shapes import named_shapes
from refmg_validation.bench.targets import DTYPES, misses, summary
from refmg_validation.bench.torch_peer import TorchPeer


def run_bench(
    backend: Backend,
    peer: TorchPeer | None,
    quick: bool,
    report: Callable[[str], Any],
    shapes: str = "mnist",
) -> dict[str, Any]:
    """Return every measurement.

    Parameters
    ----------
    backend : Backend
        What is measured.
    peer : TorchPeer, optional
        What it is compared with.
    quick : bool
        Small shapes only, to see that the bench works.
    report : callable
        Is told what is finished.
    shapes : {"mnist", "resnet", "all"}
        Which convolutions; networks and what surrounds them belong to ``"mnist"``. Where TF32 is on, which
        concerns float32 alone, float64 is left out.
    """
    chosen = named_shapes(shapes, quick)
    result: dict[str, Any] = {"backend": backend.name, "device": backend.device, "quick": quick}
    result |= {"peer": peer and peer.name, "limits": {}, "kernels": [], "networks": []}
    result |= {"shapes": shapes, "tf32": backend.tf32}
    networks = shapes != "resnet"
    for dtype in DTYPES[:1] if backend.tf32 else DTYPES:
        limits = result["limits"][dtype] = measure_limits(backend, dtype)
        for row in kernel_cases(backend, peer, dtype, limits, chosen):
            result["kernels"].append(row)
            report(one_line(row))
        for row in network_cases(backend, peer, dtype, quick) if networks else ():
            result["networks"].append(row)
            report(one_line(row))
    if networks and not quick:
        result["scaling"] = []
        for row in growth(backend, "float32"):
            result["scaling"].append(row)
            report(in_words(row))
        result |= {"startup": surroundings.import_times(), "assembly": surroundings.assembly()}
        if backend.name == "numba":
            result["startup"] |= surroundings.first_calls()
        if backend.device == "cpu":
            result["memory"] = [
                surroundings.gradient_memory(backend, dtype, problem)
                for dtype in DTYPES
                for problem in surroundings.REMEMBERED
            ]
    return result | {"summary": summary(result), "misses": misses(result)}


def one_line(row: dict[str, Any]) -> str:
    """Return a row in words."""
    where = f"{row['layers']} layers" if "layers" in row else f"{row['channels']} channels, {row['grid']}^2"
    rate = f", {row['refmg']['GF/s']} GF/s" if "GF/s" in row["refmg"] else ""
    ratio = f", {row['refmg / torch']} of PyTorch's time" if "refmg / torch" in row else ""
    return f"{row['dtype']} {where}: {row['operation']} {row['refmg']['ms']:.2f} ms{rate}{ratio}"
