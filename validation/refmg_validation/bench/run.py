"""All measurements of a backend, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from statistics import geometric_mean
from typing import Any

from refmg_backends import Backend
from refmg_validation.bench import surroundings
from refmg_validation.bench.kernels import kernel_cases
from refmg_validation.bench.limits import measure_limits
from refmg_validation.bench.networks import network_cases, scaling
from refmg_validation.bench.shapes import named_shapes
from refmg_validation.bench.torch_peer import TorchPeer

DTYPES = ("float32", "float64")
# Times of refmg / times of PyTorch to reach: each kernel, their geometric mean, gradient, Gauss-Newton.
TARGETS = {"float32": (1.0, 0.9, 0.9, 0.7), "float64": (0.4, 0.4, 0.4, 0.3)}
KERNELS = ("convolve", "transpose", "stencil gradient")


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
        for row in scaling(backend, "float32", quick):
            result["scaling"].append(row)
            report(f"time against {row['against']}: exponent {row['exponent']}")
        result |= {"startup": surroundings.import_times(), "assembly": surroundings.assembly()}
        if backend.name == "numba":
            result["startup"] |= surroundings.first_calls()
        if backend.device == "cpu":
            result["memory"] = [surroundings.gradient_memory(backend, dtype) for dtype in DTYPES]
    return result | {"summary": summary(result)}


def one_line(row: dict[str, Any]) -> str:
    """Return a row in words."""
    where = f"{row['layers']} layers" if "layers" in row else f"{row['channels']} channels, {row['grid']}^2"
    rate = f", {row['refmg']['GF/s']} GF/s" if "GF/s" in row["refmg"] else ""
    ratio = f", {row['refmg / torch']} of PyTorch's time" if "refmg / torch" in row else ""
    return f"{row['dtype']} {where}: {row['operation']} {row['refmg']['ms']:.2f} ms{rate}{ratio}"


def summary(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ratios to PyTorch beside the ratios to reach; empty without a peer."""
    rows = []
    for dtype in DTYPES:
        each, mean, gradient, product = TARGETS[dtype]
        cases = [r for r in result["kernels"] if r["dtype"] == dtype and r["operation"] in KERNELS]
        ratios = {(r["operation"], r["channels"], r["grid"]): r.get("refmg / torch") for r in cases}
        found = [ratio for ratio in ratios.values() if ratio]
        if not found:
            continue
        worst = max(ratios, key=lambda key: ratios[key] or 0)
        words = f"slowest kernel ({worst[0]}, {worst[1]} channels, {worst[2]}^2)"
        rows.append({"dtype": dtype, "what": words, "ratio": max(found), "to reach": each})
        rows.append({"dtype": dtype, "what": "kernels, geometric mean", "to reach": mean,
                     "ratio": round(geometric_mean(found), 3)})  # fmt: skip
        for name, bound in (("gradient", gradient), ("Gauss-Newton product", product)):
            for r in result["networks"]:
                if r["dtype"] == dtype and r["operation"] == name and r["layers"] == 16:
                    rows.append({"dtype": dtype, "what": f"{name}, 16 layers, 16 channels",
                                 "ratio": r["refmg / torch"], "to reach": bound})  # fmt: skip
    return rows
