"""What ``refmg bench --scaling`` prints and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from refmg.distributed import SerialCommunicator, Share
from refmg_backends import RefmgError, get_backend
from refmg_validation.bench.scaling import report
from refmg_validation.bench.scaling.run import run_scaling
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
    other = None if compute is None else once(lambda: _computing(compute))
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


def _computing(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())["compute"]
        return found
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RefmgError(
            f"cannot read {path} as a record of refmg bench --scaling ({error!r}); expected 'compute' in it"
        ) from error
