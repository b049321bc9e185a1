"""All cases put to an implementation, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refmg_backends import RefmgError, one_of
from refmg_validation.conformance.adapter import Adapter
from refmg_validation.conformance.case import DTYPES, Case
from refmg_validation.conformance.diagnosis import diagnose
from refmg_validation.conformance.functions import FUNCTIONS
from refmg_validation.conformance.grading import (
    MISSING,
    PASSED,
    WRONG,
    Grade,
    as_arrays,
    grade,
    named_outputs,
    told_apart,
)
from refmg_validation.conformance.missing import announced

XFAILED, XPASSED = "expected failure", "unexpectedly passing"
VERDICTS = (PASSED, WRONG, MISSING, XFAILED, XPASSED)
FAILURES = (WRONG, XPASSED)


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    Attributes
    ----------
    case : Case
        What was asked.
    verdict : str
        One of :data:`VERDICTS`.
    message : str
        Values and shapes of what is wrong; why a failure is expected, or a case is left out.
    cause : str
        The likely cause of a wrong output, see :func:`refmg_validation.conformance.diagnose`.
    measured, bound : float
        Of the output that comes nearest to its bound, or goes farthest beyond.
    """

    case: Case
    verdict: str
    message: str = ""
    cause: str = ""
    measured: float = 0.0
    bound: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether the run fails for it."""
        return self.verdict in FAILURES


def run_cases(
    adapter: Adapter,
    cases: Sequence[Case],
    dtype: str = "float64",
    xfails: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Put cases to an implementation.

    Parameters
    ----------
    adapter : Adapter
        Its functions.
    cases : sequence of Case
        In order.
    dtype : {"float64", "float32"}
        Type of the inputs; says which tolerances hold.
    xfails : mapping of str, optional
        Cases that are expected to fail, with their reasons.

    Returns
    -------
    list of Outcome
        One a case. A function that is missing fails no case but its own.

    Raises
    ------
    RefmgError
        If the type is unknown, or the adapter has none of the functions.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> case = Case("half", "g", "core", "", "convolve", {"y": np.ones(2)}, {"y": np.full(2, 0.5)}, \
{"float64": 1e-15}, "")
    >>> mine = Adapter("mine", SimpleNamespace(convolve=lambda y: y / 2))
    >>> run_cases(mine, [case])[0].verdict
    'passed'
    """
    if dtype not in DTYPES:
        raise RefmgError(one_of("dtype", dtype, DTYPES))
    adapter.check_known(FUNCTIONS)
    known = xfails or {}
    with adapter.importing():
        return [_expected(_run(adapter, case, dtype), known.get(case.name)) for case in cases]


def _expected(outcome: Outcome, reason: str | None) -> Outcome:
    """Return the outcome in view of a failure that was announced."""
    if reason is None or outcome.verdict == MISSING:
        return outcome
    if outcome.verdict == PASSED:
        return Outcome(outcome.case, XPASSED, "take it out of the xfails: it passes now")
    return Outcome(outcome.case, XFAILED, reason, outcome.cause, outcome.measured, outcome.bound)


def _run(adapter: Adapter, case: Case, dtype: str) -> Outcome:
    function = adapter.function(case.function)
    if function is None:
        return Outcome(case, MISSING)
    # Copies: an implementation that works in place must not change the case.
    inputs = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in case.cast(dtype).items()}
    try:
        outputs = named_outputs(case, function(**inputs))
    except (Exception, SystemExit) as error:
        told = " ".join(str(error).split())
        if isinstance(error, NotImplementedError) and announced(error, function):
            return Outcome(case, MISSING, told)
        return Outcome(case, WRONG, f"raised {type(error).__name__}: {told}", "", float("inf"))
    return graded(case, outputs, dtype)


def graded(case: Case, outputs: Mapping[str, Any], dtype: str = "float64") -> Outcome:
    """Return what came of a case whose outputs are there, with the likely cause if they are wrong.

    Parameters
    ----------
    case : Case
        What was asked.
    outputs : mapping of array_like
        By the names of ``case.expected``.
    dtype : {"float64", "float32"}
        Says which tolerance holds.
    """
    arrays = as_arrays(outputs)
    found = grade(case, arrays, dtype)
    if found.passed:
        return Outcome(case, PASSED, "", "", found.measured, found.bound)
    return _wrong(case, found, arrays, dtype)


def _wrong(case: Case, found: Grade, outputs: Mapping[str, Any], dtype: str) -> Outcome:
    lines = [found.message, *_first_entry(case, outputs, dtype)]
    cause = diagnose(case, outputs, dtype)
    return Outcome(case, WRONG, "; ".join(lines), cause, found.measured, found.bound)


def _first_entry(case: Case, outputs: Mapping[str, Any], dtype: str) -> list[str]:
    """Return the first differing entry, in C order, of the first output that is wrong."""
    for name, expected in case.expected.items():
        found = outputs.get(name)
        if not isinstance(found, np.ndarray) or found.shape != expected.shape:
            continue
        # A NaN differs from everything, so that the negated comparison finds it.
        differs = np.argwhere(~(np.abs(found.astype(np.float64) - expected) <= case.bound(name, dtype)))
        if len(differs):
            at = tuple(int(i) for i in differs[0])
            place = f" at {at}" if at else ""
            values = told_apart(float(found[at]), float(expected[at]))
            return [f"first differing entry of {name}{place}: found {values[0]}, expected {values[1]}"]
    return []
