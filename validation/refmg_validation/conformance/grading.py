"""What an implementation returned, against a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_validation.conformance.case import Case

PASSED, WRONG, MISSING = "passed", "wrong", "not implemented"


@dataclass(frozen=True)
class Refused:
    """An output that is no array of numbers, and why."""

    reason: str


def as_arrays(outputs: Mapping[str, Any]) -> dict[str, NDArray[Any] | Refused]:
    """Return outputs as arrays of numbers, each converted once; what cannot be is refused.

    Examples
    --------
    >>> as_arrays({"y": [1, 2], "z": "two"})
    {'y': array([1, 2]), 'z': Refused(reason='found <U3; expected numbers')}
    """
    return {name: _as_array(value) for name, value in outputs.items()}


def _as_array(value: Any) -> NDArray[Any] | Refused:
    if isinstance(value, Refused):
        return value
    try:
        found = np.asarray(value)
    except Exception as error:  # whatever a foreign array raises
        told = " ".join(str(error).split())
        hint = "; of a tensor return .detach().cpu()" if hasattr(value, "detach") else ""
        return Refused(f"not an array: {type(error).__name__}: {told}{hint}")
    if found.dtype.kind not in "fiu":
        return Refused(f"found {found.dtype}; expected numbers")
    return found


@dataclass(frozen=True)
class Grade:
    """The verdict on one case.

    Attributes
    ----------
    case : str
        Name of the case.
    verdict : {"passed", "wrong", "not implemented"}
    message : str
        Values and shapes of what is wrong; empty if all is right.
    measured, bound : float
        Of the output that comes nearest to its bound, or goes farthest beyond.
    """

    case: str
    verdict: str
    message: str = ""
    measured: float = 0.0
    bound: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the case is right."""
        return self.verdict == PASSED


def named_outputs(case: Case, returned: Any) -> dict[str, Any]:
    """Return what a function returned under the names of the case: a dict, a tuple in order, or one array.

    Entries that are absent are simply not there; a tuple of another length, or a dict with other names,
    is returned as it is, for :func:`grade` to refuse.

    Examples
    --------
    >>> two = Case("a", "g", "core", "", "f", {}, {"y": np.ones(1), "z": np.ones(1)}, {}, "")
    >>> named_outputs(two, (1.0, 2.0))
    {'y': 1.0, 'z': 2.0}
    """
    if isinstance(returned, Mapping):
        return dict(returned)
    names = list(case.expected)
    parts = returned if isinstance(returned, tuple | list) and len(names) > 1 else (returned,)
    extra = [f"output {i}" for i in range(len(names), len(parts))]
    return dict(zip([*names, *extra], parts, strict=False))


def grade(case: Case, outputs: Mapping[str, Any], dtype: str = "float64") -> Grade:
    """Compare the outputs of an implementation, as arrays by name, with those expected.

    Parameters
    ----------
    case : Case
        What was computed.
    outputs : mapping of array_like
        By the names of ``case.expected``.
    dtype : {"float64", "float32"}
        In which was computed; says which tolerance holds.

    Returns
    -------
    Grade

    Examples
    --------
    >>> one = Case("a", "g", "core", "", "f", {}, {"y": np.array([1.0, 2.0])}, {"float64": 1e-15}, "")
    >>> grade(one, {"y": [1.0, 2.5]}).message
    'y: found 2.5 at (1,), expected 2; largest error 0.5, allowed 2e-15; 1 of 2 entries are wrong'
    """
    if missing := [name for name in case.expected if name not in outputs]:
        return Grade(case.name, WRONG, f"found no output {', '.join(missing)}; expected {_names(case)}")
    if extra := [name for name in outputs if name not in case.expected]:
        return Grade(case.name, WRONG, f"found an output {', '.join(extra)}; expected {_names(case)}")
    parts = [_output(case, name, outputs[name], dtype) for name in case.expected]
    worst = max(parts, key=_severity)
    wrong = [part.message for part in parts if not part.passed]
    return Grade(case.name, worst.verdict, "; ".join(wrong), worst.measured, worst.bound)


def _names(case: Case) -> str:
    return ", ".join(f"{name} {value.shape}" for name, value in case.expected.items())


def _severity(part: Grade) -> float:
    if part.passed:
        return part.measured / part.bound if part.bound else 0.0
    return float("inf") if not part.bound else 2 + part.measured / part.bound


def _output(case: Case, name: str, value: Any, dtype: str) -> Grade:
    expected, bound = case.expected[name], case.bound(name, dtype)
    found = _as_array(value)
    if isinstance(found, Refused):
        return Grade(case.name, WRONG, f"{name}: {found.reason}", float("inf"), bound)
    if found.shape != expected.shape:
        text = f"{name}: found shape {found.shape}; expected {expected.shape}"
        return Grade(case.name, WRONG, text, float("inf"), bound)
    error = np.abs(found.astype(np.float64) - expected)
    error = np.where(np.isfinite(error), error, np.inf)
    measured = float(error.max(initial=0.0))
    if measured <= bound:
        return Grade(case.name, PASSED, "", measured, bound)
    return Grade(case.name, WRONG, _difference(name, found, expected, error, bound), measured, bound)


def _difference(name: str, found: Any, expected: Any, error: Any, bound: float) -> str:
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), error.shape))
    place = f" at {where}" if where else ""
    values = told_apart(float(found[where]), float(expected[where]))
    return (
        f"{name}: found {values[0]}{place}, expected {values[1]}; "
        f"largest error {error[where]:.3g}, allowed {bound:.3g}; "
        f"{int((error > bound).sum())} of {error.size} entries are wrong"
    )


def told_apart(found: float, expected: float) -> tuple[str, str]:
    """Return two numbers in six digits, or in all if these look equal.

    Examples
    --------
    >>> told_apart(1.0, 2.5)
    ('1', '2.5')
    >>> told_apart(1.0, 1.0 + 2**-52)
    ('1', '1.0000000000000002')
    """
    short = f"{found:.6g}", f"{expected:.6g}"
    return short if short[0] != short[1] else (f"{found:.17g}", f"{expected:.17g}")
