"""Weak and strong scaling, the model beside them, and what it says of many GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from refmg.distributed import Share
from refmg.resnet import ResNetArchitecture
from refmg_backends import Backend
from refmg_validation.bench.limits import measure_limits
from refmg_validation.bench.scaling.cost_model import Phase, curve
from refmg_validation.bench.scaling.fit import chosen_cuts, fitted_cost, foretold, misfit_of_sums
from refmg_validation.bench.scaling.judging import JUDGED, judged, medians, spread
from refmg_validation.bench.scaling.measure import (
    OPERATIONS,
    Workload,
    alone,
    overhead_of_one,
    timed_side_by_side,
    timed_sums,
)
from refmg_validation.bench.scaling.message_cost import NOMINAL, MessageCost, cost_of

RANKS = tuple(2**k for k in range(11))  # up to 1,024
DEPTH = Workload(layers=64)  # the deepest network of the depth run, on MNIST
IMAGES, SUBSAMPLE = 50_000, 1000
RESNET = {"parameters": 21_797_672, "flops": 3 * 2 * 3.66e9, "images": 4096}  # of ResNet-34 at 224, an image


def run_scaling(
    share: Share,
    backend: Backend,
    quick: bool,
    report: Callable[[str], Any],
    compute: dict[str, Any] | None = None,
    repeats: int = 1,
) -> dict[str, Any]:
    """Return measurements, constants and curves; every rank calls it.

    Parameters
    ----------
    share : Share
        The ranks; of one alone, only what a rank computes is measured.
    backend : Backend
        What computes.
    quick : bool
        Small sizes, to see that it works.
    report : callable
        Is told what is finished.
    compute : dict, optional
        ``"compute"`` of another run, such as one on a GPU, for the curves.
    repeats : int
        How often one rank and ranks together are measured, in turn; medians are judged, and the spread told.
    """
    work = Workload(96, 8, 2, 2, 3) if quick else Workload()
    ranks = share.communicator.size
    result: dict[str, Any] = {"ranks": ranks, "workload": asdict(work), "backend": backend.name}
    result |= {"device": backend.device, "quick": quick, "costs": [NOMINAL.as_dict()]}
    result["repeats"], cost = repeats, None
    if ranks > 1:
        report("sums over ranks")
        cost, sums = sums_over_ranks(share, backend, quick)
        result |= sums
        result["costs"].insert(0, cost.as_dict())
    result |= in_turn(share, backend, work, cost, repeats, report)
    report("what a rank computes")
    result["compute"] = share.communicator.broadcast(compute or compute_constants(backend, quick))
    result["curves"] = curves_of(result)
    return result | {"judged": judged(result)}


def curves_of(result: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return what the model says of many ranks, run by run, from the constants that were measured."""
    costs = [cost_of(found) for found in result["costs"]]
    runs = {name: phases(result["compute"]) for name, phases in RUNS.items()}
    return {name: [curve(phases, cost, RANKS) for cost in costs] for name, phases in runs.items()}


def in_turn(
    share: Share,
    backend: Backend,
    work: Workload,
    cost: MessageCost | None,
    repeats: int,
    report: Callable[[str], Any],
) -> dict[str, Any]:
    """Return the overhead of one rank and, where sums have a cost, the rows of several, over repetitions."""
    comm, overheads, scalings = share.communicator, list[Any](), list[Any]()
    for number in range(1, repeats + 1):
        again = f", {number} of {repeats}" if repeats > 1 else ""
        report(f"one rank: with and without examples that are shared out{again}")
        overheads.append(comm.broadcast(overhead_of_one(backend, work) if comm.rank == 0 else {}))
        if cost is not None:
            report(f"one rank alone, ranks side by side, ranks together{again}")
            scalings.append(scaling_rows(share, backend, work, cost))
    found: dict[str, Any] = {"overhead of one rank": medians(overheads)}
    if repeats > 1:
        found["spread of the overhead"] = spread(overheads, OPERATIONS)
    if scalings:
        rows = [(medians(each), spread(each, JUDGED)) for each in zip(*scalings, strict=True)]
        found["scaling"] = [row | ({"spread": part} if repeats > 1 else {}) for row, part in rows]
    return found


def sums_over_ranks(share: Share, backend: Backend, quick: bool) -> tuple[MessageCost, dict[str, Any]]:
    """Return what sums cost, and what was measured beside what the others foretell."""
    ranks = share.communicator.size
    others, rows = timed_sums(share, backend, quick)
    cuts = chosen_cuts(others, ranks)
    told = foretold(rows, ranks, cuts)
    return fitted_cost(rows, ranks, cuts), {
        "messages": [row | {"foretold": seconds} for row, seconds in zip(rows, told, strict=True)],
        "messages, for the ranges": others,
        "misfit of sums": misfit_of_sums(rows, ranks, cuts),
        "misfit of sums, one range": misfit_of_sums(rows, ranks),
    }


def scaling_rows(share: Share, backend: Backend, work: Workload, cost: MessageCost) -> list[dict[str, Any]]:
    """Return one row an operation: seconds of every case, efficiencies, and the model's."""
    comm, m, n = share.communicator, work.examples, share.communicator.size
    one = alone(comm, backend, work)
    kinds: dict[str, dict[str, Callable[[], Any]]] = {
        "side by side": work.calls(backend, m, None),
        "side by side, a quarter": work.calls(backend, m // 4, None),
        "weak": work.calls(backend, m * n, share),
        "strong": work.calls(backend, m, share),
    }
    cases = {(name, kind): calls[name] for kind, calls in kinds.items() for name in OPERATIONS}
    found = timed_side_by_side(comm, backend, cases, work.repeats)
    parameters = int(np.prod(work_vector(work, backend).shape))
    rows = []
    for name in OPERATIONS:
        seconds = {kind: found[name, kind] for kind in kinds}
        rows.append(scaling_row(name, one[name], seconds, (m, n), cost.sum_seconds(4 * parameters, n)))
    return rows


def work_vector(work: Workload, backend: Backend) -> Any:
    """Return the parameters of the network as one vector."""
    from refmg.parameters import Parameters

    network = work.network(backend)
    return Parameters(network.controls, network.classifier).flat(backend.xp)


def scaling_row(
    name: str, one: float, seconds: dict[str, float], sizes: tuple[int, int], message: float
) -> dict[str, Any]:
    """Return the efficiencies of an operation, and what the model says of weak and strong.

    The model takes what a rank computes from ranks side by side that do not communicate, at all examples and
    at a quarter of them, and the message from sums alone.

    Examples
    --------
    >>> seconds = {"side by side": 1.1, "side by side, a quarter": 0.35, "weak": 1.2, "strong": 0.7}
    >>> row = scaling_row("gradient", 1.0, seconds, (1000, 2), 0.1)
    >>> [round(row[key], 3) for key in ("weak efficiency", "weak against side by side", "model, strong")]
    [0.833, 0.917, 0.7]
    """
    m, ranks = sizes
    side, quarter = seconds["side by side"], seconds["side by side, a quarter"]
    per_example = (side - quarter) / (m - m // 4)
    strong = side - per_example * (m - m / ranks) + message
    predicted = {"weak": side + message, "strong": strong}
    return {
        "operation": name,
        "alone, s": one,
        "seconds": seconds,
        "weak efficiency": one / seconds["weak"],
        "machine's own": one / side,
        "weak against side by side": side / seconds["weak"],
        "strong speedup": one / seconds["strong"],
        **{f"model, {kind}": value for kind, value in predicted.items()},
        "misfit": max(abs(value / seconds[kind] - 1) for kind, value in predicted.items()),
    }


def compute_constants(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return seconds of a sum and an example in each operation of the depth run, and the rate of products."""
    from refmg.distributed import SerialCommunicator

    work = Workload(64, 8, 2, 2, 3) if quick else Workload(512, layers=DEPTH.layers, repeats=3)
    found: dict[str, Any] = {"source": f"{backend.name} on {backend.device}"}
    cases = {
        (name, count): call
        for count in (work.examples, work.examples // 4)
        for name, call in work.calls(backend, count, None).items()
    }
    seconds = timed_side_by_side(SerialCommunicator(), backend, cases, work.repeats)
    for name in OPERATIONS:
        large, small = seconds[name, work.examples], seconds[name, work.examples // 4]
        slope = max(0.0, large - small) / (work.examples - work.examples // 4)
        found[name] = {"per example": slope, "fixed": max(0.0, large - slope * work.examples)}
    found["parameters"] = int(np.prod(work_vector(work, backend).shape))
    found["GF/s"] = measure_limits(backend, "float32")["GF/s"]
    return found


def depth_phases(compute: dict[str, Any]) -> list[Phase]:
    """Return one iteration of the depth run: a gradient, ten products, and the classifier's products.

    Trials of the line search are counted as gradients of one third of the work; the classifier's products,
    small beside the network's, as messages alone.
    """
    gradient, product = (compute[name] for name in OPERATIONS)
    size = 4 * compute["parameters"]
    classifier = 4 * 10 * (8 * 28 * 28 + 1)
    return [
        Phase("gradient", 1, IMAGES, gradient["per example"], gradient["fixed"], size),
        Phase("trials", 3, IMAGES, gradient["per example"] / 3, gradient["fixed"] / 3, 16),
        Phase("Gauss-Newton products", 10, SUBSAMPLE, product["per example"], product["fixed"], size),
        Phase("classifier", 55, IMAGES, 0.0, 0.0, classifier),
        Phase("classifier's trials", 10, IMAGES, 0.0, 0.0, 16),
    ]


def resnet_phases(compute: dict[str, Any]) -> list[Phase]:
    """Return one step of stochastic gradients on ResNet-34: forward and back at the rate of matrix products.

    Hardly a network computes faster, so the part of communication is not underestimated. Each batch norm
    takes mean, variance and, on the way back, two sums over the whole batch: three messages.
    """
    images, per_image = int(RESNET["images"]), RESNET["flops"] / (compute["GF/s"] * 1e9)
    phases = [Phase("gradient", 1, images, per_image, 0.0, 4 * int(RESNET["parameters"]))]
    norms = Counter(spec.c_out for spec in ResNetArchitecture((224, 224)).convolutions())
    for channels, count in sorted(norms.items()):
        for name, sums, size in (("moments", 2, 4 * channels), ("adjoints of norms", 1, 8 * channels)):
            phases.append(Phase(f"{name}, {channels} channels", sums * count, images, 0.0, 0.0, size))
    return phases


RUNS = {"MNIST depth run": depth_phases, "ResNet-34 at 224": resnet_phases}
