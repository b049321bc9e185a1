"""``refmg verify``: every check with its measured error and bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from rich.table import Table

from refmg_backends import RefmgError, one_of
from refmg_validation.checks.control import control_checks
from refmg_validation.checks.finding import Finding
from refmg_validation.checks.images import image_checks
from refmg_validation.checks.operators import operator_checks, transfer_checks

GROUPS: dict[str, Callable[[], Iterator[Finding]]] = {
    "operators": operator_checks,
    "transfers": transfer_checks,
    "images": image_checks,
    "control": control_checks,
}


def run_checks(only: str | None = None) -> dict[str, list[Finding]]:
    """Run all groups, or one.

    Raises
    ------
    RefmgError
        If there is no such group.
    """
    if only is not None and only not in GROUPS:
        raise RefmgError(one_of("group of checks", only, GROUPS))
    chosen = GROUPS if only is None else {only: GROUPS[only]}
    return {name: list(_guarded(name, checks())) for name, checks in chosen.items()}


def _guarded(group: str, checks: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings; a check that raises is one that failed, and ends its group."""
    try:
        yield from checks
    except Exception as error:
        words = f"{group}: the next check raised {type(error).__name__}: {error}"
        yield Finding(words, float("nan"), 0.0, "no exception")


def findings_table(findings: dict[str, list[Finding]]) -> Table:
    """Return one row a finding."""
    table = Table(title="Checks: measured error and bound")
    table.add_column("check", overflow="fold")
    for name in ("error", "bound"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("the bound is")
    table.add_column("")
    for found in findings.values():
        for f in found:
            verdict = "passed" if f.passed else "FAILED"
            table.add_row(f.name, f"{f.error:.1e}", f"{f.bound:.1e}", f.remark, verdict)
    return table


def failures(findings: dict[str, list[Finding]]) -> list[str]:
    """Return the names of the checks that failed."""
    return [f.name for found in findings.values() for f in found if not f.passed]


def as_json(findings: dict[str, list[Finding]]) -> dict[str, Any]:
    """Return plain values, ready for JSON."""
    return {
        "findings": {g: [asdict(f) | {"passed": f.passed} for f in found] for g, found in findings.items()}
    }
