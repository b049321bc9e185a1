"""What ``refmg bench --scaling`` prints and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from refmg.distributed import SerialCommunicator, Share
from refmg_backends import RefmgError, get_backend
from refmg_validation.bench.scaling import report
from refmg_validation.bench.scaling.message_cost import NOMINAL
from refmg_validation.bench.scaling.run import curves_of, run_scaling
from refmg_validation.damage import read_json, told_as_damage
from refmg_validation.ranks import once, share
from refmg_validation.records import provenance, write_figure, write_json


def bench_scaling(
    quick: bool, record: Path | None, compute: Path | None, console: Console, repeats: int = 1
) -> None:
    """Measure, print tables, and record measurements and plot.

    Raises
    ------
    RefmgError
        If `compute` is no record of this command, or `repeats` no number of repetitions.
    """
    if repeats < 1:
        raise RefmgError(f"found --repeat {repeats}; expected 1 or more")
    other = None if compute is None else once(lambda: read_computing(compute))
    how = share() or Share(SerialCommunicator())

    def tell(line: str) -> None:
        console.print(line, style="dim")

    result = run_scaling(how, get_backend(), quick, tell, other, repeats)
    result = provenance() | result
    if "scaling" in result:
        console.print(report.scaling_table(result))
        console.print(report.sums_line(result))
    else:
        console.print("One rank: start mpiexec -n 2 refmg bench --scaling to measure sums over ranks")
    console.print(report.judged_table(result))
    for line in report.curve_lines(result):
        console.print(line)
    if record is not None:
        write_json(record, result)
        write_figure(record.with_suffix(".png"), report.draw_scaling(result))


def read_computing(path: Path) -> dict[str, Any]:
    """Return what a rank computes by another record; that it tells what curves need is tried on one.

    Raises
    ------
    RefmgError
        If it is no record of ``refmg bench --scaling``.
    """
    advice = "expected a record of refmg bench --scaling"
    record = read_json(path, advice)
    with told_as_damage(f"{path} does not say what a rank computes", advice):
        found = dict(record["compute"])
        tried = {"costs": [NOMINAL.as_dict()], "compute": found}
        report.curve_lines(tried | {"curves": curves_of(tried)})
        return found
