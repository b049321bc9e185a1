"""A run for people, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from refmg_validation.conformance.case import Case
from refmg_validation.conformance.grading import PASSED
from refmg_validation.conformance.runner import FAILURES, VERDICTS, Outcome

SIZES = ("shape", "width", "factor", "stride")
FULLY = 20  # failures that are told with all their numbers


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return how many cases have each verdict.

    Examples
    --------
    >>> counts([])["wrong"]
    0
    """
    found = Counter(outcome.verdict for outcome in outcomes)
    return {verdict: found[verdict] for verdict in VERDICTS}


def groups_table(outcomes: Sequence[Outcome], title: str) -> Table:
    """Return the counts, a group a row."""
    table = Table("group", *VERDICTS, title=escape(title), title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for group in dict.fromkeys(outcome.case.group for outcome in outcomes):
        found = counts([outcome for outcome in outcomes if outcome.case.group == group])
        table.add_row(escape(group), *(str(n or "-") for n in found.values()))
    return table


def describe(outcome: Outcome) -> list[str]:
    r"""Return the lines that tell of a case that failed.

    Examples
    --------
    >>> given = {"features": np.ones((1, 4, 2)), "boundary": "zero"}
    >>> case = Case("edge", "g", "core", "", "convolve", given, {}, {}, "")
    >>> print(*describe(Outcome(case, "wrong", "found 1, expected 2", "flipped stencil: ..")), sep="\n")
    wrong: edge
      convolve(features: (1, 4, 2), boundary='zero')
      found 1, expected 2
      likely cause: flipped stencil: ..
    """
    lines = [f"{outcome.verdict}: {outcome.case.name}", f"  {called(outcome.case)}"]
    lines += [f"  {part}" for part in outcome.message.split("; ") if part]
    return [*lines, f"  likely cause: {outcome.cause}"] if outcome.cause else lines


def called(case: Case) -> str:
    """Return the call of a case, arrays by their shapes.

    Examples
    --------
    >>> called(Case("a", "g", "core", "", "f", {"y": np.ones((2, 3)), "n": 4}, {}, {}, ""))
    'f(y: (2, 3), n=4)'
    """
    return f"{case.function}({', '.join(_argument(*item) for item in case.inputs.items())})"


def _argument(name: str, value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return f"{name}={value!r}"
    return f"{name}={value.tolist()}" if name in SIZES else f"{name}: {value.shape}"


def failure_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the lines on all failures: the first with all numbers, a line each for the others."""
    failures = failed(outcomes)
    if not failures and run_failed(outcomes):
        return ["no case passed: a run that shows nothing right is a failure"]
    lines = [line for outcome in failures[:FULLY] for line in describe(outcome)]
    for outcome in failures[FULLY:]:
        cause = outcome.cause.partition(":")[0] or outcome.message.partition(";")[0]
        lines.append(f"{outcome.verdict}: {outcome.case.name}: {cause}")
    return lines


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return one line with all counts that are not zero."""
    found = [f"{n} {verdict}" for verdict, n in counts(outcomes).items() if n]
    return f"{len(outcomes)} cases: {', '.join(found) or 'none'}"


def failed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes for which the run fails."""
    return [outcome for outcome in outcomes if outcome.verdict in FAILURES]


def run_failed(outcomes: Sequence[Outcome]) -> bool:
    """Whether the run fails: for one of its outcomes, or because nothing passed.

    Examples
    --------
    >>> run_failed([])
    True
    """
    return bool(failed(outcomes)) or not counts(outcomes)[PASSED]


def as_json(outcomes: Sequence[Outcome], adapter: str, level: str, dtype: str) -> dict[str, Any]:
    """Return a run as plain values."""
    return {
        "adapter": adapter,
        "level": level,
        "dtype": dtype,
        "passed": not run_failed(outcomes),
        "counts": counts(outcomes),
        "cases": [_plain(outcome) for outcome in outcomes],
    }


def _plain(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "name": case.name,
        "group": case.group,
        "level": case.level,
        "function": case.function,
        "verdict": outcome.verdict,
        "message": outcome.message,
        "cause": outcome.cause,
        # JSON has no infinity.
        "measured": outcome.measured if isfinite(outcome.measured) else None,
        "bound": outcome.bound,
    }
