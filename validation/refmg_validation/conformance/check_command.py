"""``refmg conformance check``."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from refmg_backends import default_dtype
from refmg_validation.conformance.check import check
from refmg_validation.conformance.run_report import as_json, failure_lines, groups_table, run_failed, summary
from refmg_validation.records import provenance, write_json


def check_folder(folder: Path, asked: str | None, json: Path | None, console: Console) -> int:
    """Grade outputs, print and record; return the exit status: 0, or 1 if a case is wrong or none passes.

    Raises
    ------
    RefmgError
        As :func:`refmg_validation.conformance.check.check`.
    """
    dtype = default_dtype(asked)
    outcomes = check(folder, dtype)
    for line in failure_lines(outcomes):
        console.print(line, markup=False, soft_wrap=True)
    console.print(groups_table(outcomes, f"{folder}, {dtype}"))
    console.print(summary(outcomes))
    if json is not None:
        levels = {outcome.case.level for outcome in outcomes}
        level = "full" if "full" in levels else "core"
        write_json(json, provenance() | as_json(outcomes, str(folder), level, dtype))
    return 1 if run_failed(outcomes) else 0
