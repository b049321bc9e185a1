"""The likely cause of a wrong output: the usual mistake that gives the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_validation.conformance.case import Case
from refmg_validation.conformance.grading import as_arrays
from refmg_validation.conformance.mistakes import (
    Attempt,
    Problem,
    directions,
    layouts,
    options,
    parts,
    scales,
    stencils,
    times,
)

NONE = "none of the usual mistakes"
# The order in which causes are named if several give the same numbers: the most specific first.
MISTAKES = (
    layouts.examples_first,
    stencils.flipped,
    stencils.transposed_channels,
    stencils.no_adjoint,
    stencils.swapped_axes,
    directions.unmoved,
    directions.other_way,
    options.wrong_boundary,
    options.stride_offset,
    scales.cell_volume,
    scales.spacing,
    scales.transfer_factor,
    scales.divided_weights,
    scales.mean_or_sum,
    parts.missing_bias,
    parts.swapped_halves,
    times.wrong_node,
    times.wrong_moment,
    times.wrong_new_node,
    times.wrong_step,
    scales.sign,
    options.another_choice,
    scales.half_a_square,
)
# Tried if none of those explains what was found: they say less.
GENERAL = (scales.factor_two, layouts.column_major, layouts.other_order)
SINGLE_EPS, ROUNDINGS = float(np.finfo(np.float32).eps), 64.0


def diagnose(case: Case, outputs: Mapping[str, Any], dtype: str = "float64") -> str:
    """Return which usual mistake gives the outputs that were found.

    Parameters
    ----------
    case : Case
        What was asked.
    outputs : mapping of array_like
        What was found; wrong, as :func:`refmg_validation.conformance.grade` says.
    dtype : {"float64", "float32"}
        In which was computed.

    Returns
    -------
    str
        ``"flipped stencil: .."``; several with ``or`` between them where they give the same numbers on this
        case. Where no single mistake explains all that is wrong, the outputs that one explains, each by
        itself. ``"none of the usual mistakes"``.

    Notes
    -----
    Every mistake is made with the reference backend on the case's own inputs. It is named if it reproduces
    all outputs that are wrong, within rounding; outputs that are right do not matter, and a mistake that
    leaves all as expected is none.

    Examples
    --------
    >>> given = {"features": np.array([[[1.0], [2.0], [4.0]]]), "stencil": np.array([[[0.0, 0.0, 1.0]]])}
    >>> given |= {"boundary": "periodic", "stride": 1}
    >>> right = {"features": np.array([[[2.0], [4.0], [1.0]]])}
    >>> case = Case("shift", "g", "core", "", "convolve", given, right, {"float64": 0.0}, "", True)
    >>> print(diagnose(case, {"features": np.array([[[4.0], [1.0], [2.0]]])}))
    flipped stencil: convolution where cross-correlation is meant: flip the stencil on every grid axis
    >>> print(diagnose(case, {"features": np.array([[[4.0], [1.0], [7.0]]])}))
    none of the usual mistakes
    """
    found = {name: value for name, value in as_arrays(outputs).items() if name in case.expected}
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    if len(arrays) < len(found):
        return NONE
    return _of_arrays(case, arrays, dtype)


def _of_arrays(case: Case, found: dict[str, NDArray[Any]], dtype: str) -> str:
    wrong = [n for n, a in found.items() if not _close(a, case.expected[n], case.bound(n, dtype))]
    if not wrong:
        return NONE
    if any(not np.isfinite(found[n]).all() for n in wrong):
        return "NaN or infinity: a division by zero, an overflow or memory that was never written"
    if _within(found, case, wrong, dtype):
        return _of_rounding(case)
    if all(not found[n].any() for n in wrong):
        return "all zeros: nothing was added up, or a derivative was taken as zero"
    problem = Problem(case, wrong)
    attempts = [attempt for mistake in MISTAKES for attempt in mistake(problem)]
    attempts += layouts.flattened(problem, found)
    if cause := _cause(attempts, case, found, wrong, dtype):
        return cause
    general = [attempt for mistake in GENERAL for attempt in mistake(problem)]
    if cause := _cause(general, case, found, wrong, dtype):
        return cause
    if _of_single_precision(case, found, wrong, dtype):
        return "float32 precision: the errors are of the size of float32's rounding; compute in float64"
    if len(wrong) == 1:
        return NONE
    # Two mistakes at once: what comes first in the computation shows only one of them.
    alone = {name: _cause(attempts + general, case, found, [name], dtype) for name in wrong}
    return "; ".join(f"{name} alone: {told}" for name, told in alone.items() if told) or NONE


def _cause(
    attempts: list[Attempt], case: Case, found: Mapping[str, Any], wrong: list[str], dtype: str
) -> str:
    causes = dict[str, str]()
    for attempt in attempts:
        if attempt.mistake not in causes and _reproduces(attempt, case, found, wrong, dtype):
            causes[attempt.mistake] = attempt.told
    return "; or ".join(f"{name}: {told}" for name, told in causes.items())


def _reproduces(attempt: Attempt, case: Case, found: Mapping[str, Any], wrong: list[str], dtype: str) -> bool:
    made = attempt.made
    if any(name not in made for name in wrong) or _within(made, case, wrong, dtype):
        return False  # a mistake that changes nothing here explains nothing
    slack = _slack(case, dtype)
    return all(_close(found[name], made[name], slack * _largest(made[name])) for name in wrong)


def _slack(case: Case, dtype: str) -> float:
    return max(case.tolerance.get(dtype, 0.0), ROUNDINGS * float(np.finfo(dtype).eps))


def _within(outputs: Mapping[str, Any], case: Case, names: list[str], dtype: str) -> bool:
    """Whether outputs are those expected, up to rounding."""
    slack = _slack(case, dtype)
    return all(_close(outputs[n], case.expected[n], slack * _largest(case.expected[n])) for n in names)


def _of_rounding(case: Case) -> str:
    asked = "this case is of whole numbers and asks for ==" if case.exact else "this case allows less"
    return f"rounding: right up to rounding; {asked}"


def _close(a: Any, b: Any, bound: float) -> bool:
    if np.shape(a) != np.shape(b):
        return False
    difference = np.abs(np.asarray(a, dtype=np.float64) - b)
    return bool(difference.max(initial=0.0) <= bound)


def _largest(a: Any) -> float:
    return float(np.abs(a).max(initial=0.0))


def _of_single_precision(case: Case, found: Mapping[str, Any], wrong: list[str], dtype: str) -> bool:
    if dtype != "float64":
        return False
    slack = max(case.tolerance.get("float32", 0.0), ROUNDINGS * SINGLE_EPS)
    return all(_close(found[n], case.expected[n], slack * _largest(case.expected[n])) for n in wrong)
