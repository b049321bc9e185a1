"""Cases of stencils moved between resolutions by a pair (R, P): the paper's equations 8 and 9."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Draw, Rounding, Shape, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference import transfers
from refmg_validation.conformance.reference.arithmetic import condition, floats
from refmg_validation.conformance.reference.operators import per_axis

# name, level, transfer, factor, channels and width
MAPS: tuple[tuple[str, str, str, int | Shape, Shape], ...] = (
    ("1d-linear", "core", "linear", 2, (1, 1, 3)),
    ("2d-linear", "core", "linear", 2, (2, 1, 3, 3)),
    ("3d-linear", "full", "linear", 2, (1, 1, 3, 3, 3)),
    ("2d-average", "core", "average", 2, (1, 2, 3, 3)),
    ("2d-full-weighting", "full", "full-weighting", 2, (1, 1, 3, 3)),
    ("1d-width-5", "full", "linear", 2, (1, 1, 5)),
    ("2d-width-5x3", "full", "linear", 2, (1, 1, 5, 3)),
    ("1d-factor-3", "full", "linear", 3, (1, 1, 3)),
    ("1d-factor-4", "full", "average", 4, (1, 1, 3)),
    ("2d-factors", "full", "average", (2, 4), (1, 1, 3, 3)),
)


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for label, level, transfer, factor, shape in MAPS:
        yield _restrict(f"stencil-restrict-{label}", level, transfer, factor, shape)
        yield _prolong(f"stencil-prolong-{label}", level, transfer, factor, shape)


def _restrict(name: str, level: str, transfer: str, factor: int | Shape, shape: Shape) -> Case:
    d = len(shape) - 2
    # Eighths an axis for factor 2 and quarters of quarters for 4: whole results; thirds always round.
    units = {2: 8, 3: 1, 4: 16}
    s = Draw(name).whole(shape, unit=prod(units[f] for f in per_axis(factor, d)))
    inputs = {"stencil": s, "transfer": transfer, "factor": _given(factor)}
    text = f"""The stencil of `R K(s_h) P` for `{transfer}` with factor {factor}, width {shape[2:]}: for
        every pair of channels alike, nothing lost at the sides of the stencil."""
    rounding = sums(4 * 3 * 3) if factor == 3 else None
    expected = transfers.restrict_stencil(s, transfer, factor)
    return make(name, level, "restrict_stencil", text, inputs, expected, rounding)


def _given(factor: int | Shape) -> Any:
    return np.array(factor) if isinstance(factor, tuple) else factor


def _prolong(name: str, level: str, transfer: str, factor: int | Shape, shape: Shape) -> Case:
    s = Draw(name).whole(shape)
    inputs = {"stencil": s, "transfer": transfer, "factor": _given(factor)}
    width = shape[2:]
    cond = condition(floats(transfers.stencil_map(width, transfer, factor)))
    n = int(np.prod(width))
    text = f"""The stencil with `R K(s_h) P = K(s_H)` for `{transfer}` with factor {factor}, width
        {width}: the solution of a system of {n} unknowns. A mere interpolation of taps, or the transposed
        map, is not it."""
    reason = f"2 n eps cond: n = {n} unknowns of a system with condition number {cond:g}."
    expected = transfers.prolong_stencil(s, transfer, factor)
    return make(name, level, "prolong_stencil", text, inputs, expected, Rounding(2.0 * n * cond, reason))
