"""The commands that look at this installation: ``info``, ``verify`` and ``bench``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from refmg_backends import RefmgError  # not from refmg: the help needs no mathematics
from refmg_validation.terminal import console as _console


def info() -> None:
    """Print versions, backend, device, precision and threads."""
    from refmg_validation.info import description

    print(description())


def verify(
    only: Annotated[
        str | None,
        typer.Option(
            help="exact, taps, kernels, operators, transfers, images, control, training, regularizers, "
            "levels or backend; else all."
        ),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="The integer and rational ones only.")] = False,
    seed: Annotated[
        str | None, typer.Option(help="Of the random cases; random draws new ones and prints it.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Record the checks in this file.")] = None,
) -> int:
    """Print every check with its measured error and bound; exit status 1 if one fails."""
    from refmg_validation.records import provenance, write_json
    from refmg_validation.verify import SEED, as_json, chosen_seed, failures, findings_table, run_checks

    number = SEED if seed is None else chosen_seed(seed)
    findings = run_checks(only, number, exact)
    _console().print(findings_table(findings))
    if json is not None:
        write_json(json, provenance() | as_json(findings, number))
    failed, count = failures(findings), sum(len(found) for found in findings.values())
    for name in failed:
        print(f"refmg: check failed: {name}", file=sys.stderr)
    print(f"{count - len(failed)} of {count} checks passed, seed {number}")
    return 1 if failed else 0


def bench(
    against: Annotated[str | None, typer.Option(help="torch: the same in PyTorch, in the same run.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Record the measurements here, and a plot beside it.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Small shapes only, to see that the bench works.")] = False,
    shapes: Annotated[str, typer.Option(help="mnist, resnet or all: convolutions to time.")] = "mnist",
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Time sums over MPI ranks instead; model many of them.")
    ] = False,
    compute: Annotated[
        Path | None, typer.Option(help="Record of --scaling on other machines, whose computing is modelled.")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(help="Times that --scaling measures one and more ranks, in turn.")
    ] = None,
) -> None:
    """Time kernels and networks of the chosen backend."""
    from refmg_backends import get_backend, one_of
    from refmg_validation.bench import report
    from refmg_validation.bench.run import run_bench
    from refmg_validation.bench.targets import miss_lines
    from refmg_validation.bench.torch_peer import TorchPeer
    from refmg_validation.records import provenance, write_figure, write_json

    if scaling:
        from refmg_validation.bench.scaling.command import bench_scaling

        bench_scaling(quick, json, compute, _console(), 1 if repeat is None else repeat)
        return
    for name, value in (("compute", compute), ("repeat", repeat)):
        if value is not None:
            raise RefmgError(f"found --{name}, which only --scaling looks at; expected both or none")
    if against not in (None, "torch"):
        raise RefmgError(one_of("peer", against, ["torch"]))
    backend, console = get_backend(), _console()
    device = "cpu" if backend.device == "cpu" else "cuda"
    peer = TorchPeer(device, backend.threads(), backend.tf32) if against else None
    result = run_bench(backend, peer, quick, lambda line: console.print(line, style="dim"), shapes)
    result = provenance() | result
    tables = [report.kernel_table(result)]
    tables += [report.network_table(result)] if result["networks"] else []
    tables += [report.method_table(result)] if any("methods" in row for row in result["kernels"]) else []
    console.print(*tables, *([report.summary_table(result)] if result["summary"] else []))
    for line in [*report.surroundings_lines(result), *(miss_lines(result) if result["summary"] else [])]:
        console.print(line)
    if json is not None:
        write_json(json, result)
        write_figure(json.with_suffix(".png"), report.draw_bench(result))
