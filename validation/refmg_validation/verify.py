"""``refmg verify``: every check with its measured error and bound."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

from rich.table import Table

from refmg_backends import RefmgError, one_of
from refmg_validation.checks.control import control_checks
from refmg_validation.checks.exact import exact_checks
from refmg_validation.checks.finding import Finding
from refmg_validation.checks.images import image_checks
from refmg_validation.checks.kernels import kernel_checks
from refmg_validation.checks.levels import level_checks
from refmg_validation.checks.on_backend import backend_checks
from refmg_validation.checks.operators import operator_checks, transfer_checks
from refmg_validation.checks.regularizers import regularizer_checks
from refmg_validation.checks.taps import tap_checks
from refmg_validation.checks.training import training_checks

GROUPS: dict[str, Callable[[int], Iterator[Finding]]] = {
    "exact": exact_checks,
    "taps": tap_checks,
    "kernels": kernel_checks,
    "operators": operator_checks,
    "transfers": transfer_checks,
    "images": image_checks,
    "control": control_checks,
    "training": training_checks,
    "regularizers": regularizer_checks,
    "levels": level_checks,
    "backend": backend_checks,
}
# Of these, --exact takes the checks that nothing but 0 passes.
EXACT = ("exact", "taps", "kernels")
SEED = 20171107
DIGITS = 100  # of a seed: beyond a few thousand Python refuses to read a number


def chosen_seed(text: str) -> int:
    """Return the seed that a text names; ``random`` draws one.

    Raises
    ------
    RefmgError
        If it is neither ``random`` nor a whole number of at least 0.

    Examples
    --------
    >>> chosen_seed("12")
    12
    """
    if text == "random":
        return secrets.randbelow(1 << 32)
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise RefmgError(f"found seed {text[:80]!r}; expected a whole number of at least 0, or random")
    return int(text)


def run_checks(only: str | None = None, seed: int = SEED, exact: bool = False) -> dict[str, list[Finding]]:
    """Run all groups, or one.

    Parameters
    ----------
    only : str, optional
        Name of the group.
    seed : int
        Of all random cases.
    exact : bool
        Run the integer and rational groups only.

    Raises
    ------
    RefmgError
        If there is no such group, or it is not an exact one where such are asked for.
    """
    if only is not None and only not in GROUPS:
        raise RefmgError(one_of("group of checks", only, GROUPS))
    if exact and only not in (None, *EXACT):
        raise RefmgError(
            f"found --exact with --only {only}, a group with bounds above 0; expected {' or '.join(EXACT)}"
        )
    names = [only] if only is not None else EXACT if exact else GROUPS
    found = {name: list(_guarded(name, GROUPS[name](seed))) for name in names}
    return {name: [f for f in part if f.exact or not exact] for name, part in found.items()}


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


def _finite(error: float) -> float | None:
    """Return a number as JSON has it: there is no NaN and no infinity."""
    return float(error) if isfinite(error) else None


def as_json(findings: dict[str, list[Finding]], seed: int) -> dict[str, Any]:
    """Return plain values, ready for JSON."""
    checks = [
        {"name": f.name, "group": group, "measured": _finite(f.error), "bound": f.bound}
        | {"passed": f.passed, "remark": f.remark}
        for group, found in findings.items()
        for f in found
    ]
    return {"seed": seed, "checks": checks}
