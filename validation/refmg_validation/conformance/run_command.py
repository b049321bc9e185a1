"""``refmg conformance run``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from refmg_backends import default_dtype
from refmg_validation.conformance.adapter import load_adapter
from refmg_validation.conformance.catalogue import cases
from refmg_validation.conformance.run_report import as_json, failure_lines, groups_table, run_failed, summary
from refmg_validation.conformance.runner import run_cases
from refmg_validation.conformance.xfails import read_xfails
from refmg_validation.records import provenance, write_json


@dataclass(frozen=True)
class Request:
    """What is to be tested, and how.

    Attributes
    ----------
    module : str
        See :func:`refmg_validation.conformance.load_adapter`.
    level : {"core", "full"}
        Which cases.
    dtype : {"float64", "float32"} or None
        Type of the inputs; None for ``REFMG_DTYPE``, else float64.
    xfails : Path or None
        See :func:`refmg_validation.conformance.read_xfails`.
    json : Path or None
        File for the outcomes.
    """

    module: str
    level: str = "full"
    dtype: str | None = None
    xfails: Path | None = None
    json: Path | None = None

    def run(self, console: Console) -> int:
        """Test, print and record; return the exit status: 0, or 1 if a case fails or none passes.

        Raises
        ------
        RefmgError
            If there is no such adapter, it has none of the functions, or an option is bad.
        """
        chosen, dtype = cases(self.level), default_dtype(self.dtype)
        known = read_xfails(self.xfails, [case.name for case in cases()]) if self.xfails else {}
        outcomes = run_cases(load_adapter(self.module), chosen, dtype, known)
        for line in failure_lines(outcomes):
            console.print(line, markup=False, soft_wrap=True)
        console.print(groups_table(outcomes, f"{self.module}, {self.level}, {dtype}"))
        console.print(summary(outcomes))
        if self.json is not None:
            write_json(self.json, provenance() | as_json(outcomes, self.module, self.level, dtype))
        return 1 if run_failed(outcomes) else 0
