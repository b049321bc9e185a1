"""A training step of ResNet-34 against the same network in PyTorch, and the time that the machine would need.

``REFMG_BACKEND=cupy python -m refmg_validation.bench.resnet_study --against torch --json FILE``

Every layer's operations and bytes are counted, and the machine's own limits measured, so that the time of a
step can be predicted where it cannot be measured. Both networks begin with the same numbers; their losses on
the first batch are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from refmg import get_backend
from refmg.resnet import ResNetArchitecture, ResNetTraining, random_resnet
from refmg.resnet.training import sgd_step
from refmg_backends import RefmgError
from refmg_validation.bench.gpu_memory import empty_torch, has_pool, pool_memory, torch_memory
from refmg_validation.bench.limits import measure_limits
from refmg_validation.bench.timing import Timing, time_call
from refmg_validation.bench.torch_peer import TorchPeer
from refmg_validation.imagenet10.costs import layer_costs, predicted_seconds, step_flops
from refmg_validation.records import provenance, study_command, write_json

# Of the paper: images of an epoch.
EPOCH = 10_000
SETTINGS = ResNetTraining(learning_rate=0.05, weight_decay=5e-4)
PEERS = {"torch": {}, "torch, channels last": {"last": True}}
COMPILED = {"torch, channels last, compiled": {"last": True, "compiled": True}}
# Losses of a first batch, of size 1: sums of many thousand terms in another order.
AGREE = 1e-3


class Problem:
    """A network and one batch, here and in PyTorch.

    Parameters
    ----------
    architecture : ResNetArchitecture
    batch : int
        Images.
    precision : {"full", "mixed"}
        ``"mixed"`` keeps features in float16 here, with products and sums in float32, and is autocast to
        float16 there, with products in float16 and losses that may differ: different work by one name.
    """

    def __init__(self, architecture: ResNetArchitecture, batch: int, precision: str) -> None:
        rng, self.backend, self.precision = np.random.default_rng(0), get_backend(), precision
        self.architecture, self.batch = architecture, batch
        self.net = random_resnet(architecture, 0)
        self.x = rng.normal(size=(architecture.in_channels, *architecture.shape, batch)).astype("float32")
        self.labels = rng.integers(0, architecture.classes, batch)

    def step(self) -> Callable[[], float]:
        """Return a step of SGD of ours; each call goes on from the last, and returns the loss before it."""
        storage = "half" if self.precision == "mixed" else "full"
        x, targets = self.backend.asarray(self.x), self.net.targets(self.labels, self.batch)
        net, state = self.net, None

        def call() -> Any:
            nonlocal net, state
            found = net.loss_and_gradient(x, targets, storage=storage)
            parameters, state = sgd_step(net, found.gradient, state or _nothing(), SETTINGS, 0)
            net = net.with_arrays(parameters, found.statistics)
            return found.loss

        return call

    def torch_step(self, peer: TorchPeer, last: bool = False, compiled: bool = False) -> Callable[[], Any]:
        """Return the same step in PyTorch, perhaps with channels last and compiled."""
        from refmg_validation.bench.torch_resnet import for_torch, torch_twin

        torch = peer.torch
        layout = {"memory_format": torch.channels_last} if last else {}
        model = torch_twin(self.net, torch.float32).to(peer.device, **layout).train()
        run = torch.compile(model) if compiled else model
        x = for_torch(self.x).to(peer.device).to(**layout) if last else for_torch(self.x).to(peer.device)
        targets = torch.from_numpy(self.labels).to(peer.device)
        optimizer = torch.optim.SGD(
            model.parameters(), SETTINGS.learning_rate, SETTINGS.momentum, weight_decay=SETTINGS.weight_decay
        )

        def call() -> Any:
            optimizer.zero_grad()
            with torch.autocast(peer.device, torch.float16, enabled=self.precision == "mixed"):
                loss = torch.nn.functional.cross_entropy(run(x), targets)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return call


def _nothing() -> Any:
    from refmg.optimization import RuleState

    return RuleState()


def measure(problem: Problem, peer: TorchPeer | None, compile_too: bool) -> list[dict[str, Any]]:
    """Return one row an implementation.

    Raises
    ------
    RefmgError
        If the losses of the first batch are not the same but for rounding.
    """
    backend = problem.backend
    step = problem.step()
    loss = float(step())
    rows = [{"implementation": f"refmg, {backend.name}"} | _timed(problem, step, backend.synchronize)]
    rows[0] |= pool_memory(backend, step)
    chosen = {} if peer is None else PEERS | (COMPILED if compile_too else {})
    for name, how in chosen.items():
        assert peer is not None
        rows.append({"implementation": name} | _ratio(rows[0], _tried(problem, peer, how, name, loss)))
    return rows


def _ratio(ours: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    return row | ({"refmg / torch": round(ours["ms"] / row["ms"], 3)} if "ms" in row else {})


def _tried(problem: Problem, peer: TorchPeer, how: dict[str, bool], name: str, loss: float) -> dict[str, Any]:
    """Return the row, or why there is none: a compiler that the peer lacks must not cost the others."""
    try:
        return _of_peer(problem, peer, how, name, loss)
    except RefmgError:
        raise
    except Exception as error:
        line = next(iter(str(error).splitlines()), "")
        return {"failed": f"{type(error).__name__}: {line}"}


def _of_peer(
    problem: Problem, peer: TorchPeer, how: dict[str, bool], name: str, loss: float
) -> dict[str, Any]:
    # The network of the row before has ended with its call: it must not count here.
    empty_torch(peer)
    step = problem.torch_step(peer, **how)
    other = float(step())
    if abs(other - loss) > AGREE * abs(loss) and problem.precision == "full":
        raise RefmgError(f"{name}: found the loss {other} of the first batch; expected refmg's, {loss}")
    row = {"loss difference": abs(other - loss)} | _timed(problem, step, peer.wait)
    return row | torch_memory(peer)


def _timed(problem: Problem, step: Callable[[], Any], wait: Callable[[], Any]) -> dict[str, Any]:
    timing: Timing = time_call(step, wait)
    flops = problem.batch * step_flops(problem.architecture)
    steps = EPOCH / problem.batch
    return timing.as_dict(flops) | {"epoch seconds": round(timing.median * steps, 3)}


def study(given: argparse.Namespace) -> dict[str, Any]:
    """Return limits, the count of every layer, the prediction and the measurements."""
    backend = get_backend()
    if given.batch < 1:
        raise RefmgError(f"found --batch {given.batch}; expected 1 or more images")
    architecture = ResNetArchitecture((given.size, given.size))
    if given.quick:
        architecture = architecture.scaled(width=1 / 8, depth=1 / 3)
    peer = None
    if given.against:
        device = "cpu" if backend.device == "cpu" else "cuda"
        peer = TorchPeer(device, backend.threads(), backend.tf32)
    limits = measure_limits(backend, "float32")
    if has_pool(backend):
        backend.release()  # type: ignore[attr-defined]  # what measuring the limits left in the pool
    predicted = predicted_seconds(architecture, given.batch, limits)
    problem = Problem(architecture, given.batch, given.precision)
    rows = measure(problem, peer, not given.no_compile)
    return {
        "architecture": architecture.as_dict(),
        "batch": given.batch,
        "precision": given.precision,
        "tf32": backend.tf32,
        "limits": limits,
        "predicted ms": round(1e3 * predicted, 3),
        "predicted epoch seconds": round(predicted * EPOCH / given.batch, 3),
        "layers": [vars(cost) for cost in layer_costs(architecture)],
        "rows": rows,
    }


def table_of(result: dict[str, Any]) -> Table:
    """Return one row an implementation."""
    shape = " x ".join(map(str, result["architecture"]["shape"]))
    title = f"A training step on {result['batch']} images of {shape}, {result['precision']} precision"
    table = Table(title=title)
    columns = (
        "implementation",
        "ms",
        "spread",
        "GF/s",
        "epoch seconds",
        "refmg / torch",
        "GB reserved",
        "GB used",
    )
    for name in columns:
        table.add_column(name, justify="left" if name == "implementation" else "right")
    for row in result["rows"]:
        table.add_row(*(str(row.get(name, "")) for name in columns))
        if "failed" in row:
            table.add_row(row["failed"], style="red")
    predicted = {"ms": result["predicted ms"], "epoch seconds": result["predicted epoch seconds"]}
    cells = {"implementation": "predicted from the machine's limits"} | predicted
    table.add_row(*(str(cells.get(name, "")) for name in columns), style="dim")
    return table


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--against", choices=["torch"])
    parser.add_argument("--size", type=int, default=224, help="cells a side of the images")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=["full", "mixed"], default="full")
    parser.add_argument("--quick", action="store_true", help="1/8 of the channels, 1/3 of the depth")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and record; bad input gives one line and exit status 2."""
    given = parse(arguments)
    try:
        result = study(given)
    except RefmgError as error:
        print(f"refmg: {error}", file=sys.stderr)
        return 2
    Console(width=130).print(table_of(result))
    if given.json:
        command = study_command("refmg_validation.bench.resnet_study", given)
        write_json(given.json, provenance() | {"command": command} | result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
