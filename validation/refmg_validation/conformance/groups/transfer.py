"""Cases of restriction and prolongation of features, and of the Galerkin operator."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from refmg_validation.conformance.build import Draw, Rounding, Shape, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference import transfers
from refmg_validation.conformance.reference.operators import per_axis

MEANING = {
    "linear": "R averages two cells, P interpolates linearly between cell centres, taps `(1, 3, 3, 1) / 4`",
    "average": "R averages two cells, P repeats values",
    "full-weighting": "vertex-centred: R has taps `(1, 2, 1) / 4`, P `(1, 2, 1) / 2`, coarse cell `i` lying "
    "on fine cell `2 i`",
}


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for transfer, meaning in MEANING.items():
        level = "full" if transfer == "full-weighting" else "core"
        yield _restrict(f"restrict-1d-{transfer}", level, transfer, 2, (8,), "periodic", meaning)
        yield _restrict(f"restrict-2d-{transfer}", level, transfer, 2, (6, 4), "periodic", meaning)
        yield _prolong(f"prolong-1d-{transfer}", level, transfer, 2, (4,), "periodic", meaning)
        yield _prolong(f"prolong-2d-{transfer}", level, transfer, 2, (3, 4), "periodic", meaning)
    for boundary in ("zero", "reflect"):
        at_ends = f"what lies beyond the ends is `{boundary}`"
        yield _restrict(f"restrict-{boundary}", "full", "full-weighting", 2, (8,), boundary, at_ends)
        yield _prolong(f"prolong-{boundary}", "full", "linear", 2, (4,), boundary, at_ends)
    yield _restrict("restrict-factor-3", "full", "linear", 3, (9,), "periodic", "three cells are averaged")
    third = "P interpolates linearly at the centres of three cells"
    yield _prolong("prolong-factor-3", "full", "linear", 3, (4,), "periodic", third)
    yield _restrict("restrict-3d", "full", "linear", 2, (4, 2, 6), "periodic", MEANING["linear"])
    apart = "each axis has its own factor"
    for transfer in ("linear", "average", "full-weighting"):
        name = f"2d-factors-{transfer}"
        yield _restrict(f"restrict-{name}", "full", transfer, (2, 4), (4, 8), "periodic", apart)
        yield _prolong(f"prolong-{name}", "full", transfer, (4, 2), (2, 3), "reflect", apart)
    yield _prolong("prolong-3d", "full", "linear", 2, (2, 3, 2), "periodic", MEANING["linear"])
    yield from _operators()


def _unit(factor: int | Shape, d: int) -> tuple[int, Rounding | None]:
    """Return by what features are multiplied so that R y and P y are whole; thirds always round."""
    factors = per_axis(factor, d)
    # The taps of P are multiples of 1 / 2f, those of R of 1 / f^2.
    unit = prod(2 * f if f == 2 else f * f for f in factors)
    return (unit, None) if all(f in (2, 4) for f in factors) else (1, sums(2 * max(factors)))


def _restrict(
    name: str, level: str, transfer: str, factor: int | Shape, shape: Shape, boundary: str, meaning: str
) -> Case:
    unit, rounding = _unit(factor, len(shape))
    y = Draw(name).whole((2, *shape, 2), unit=unit)
    text = f"`R y` of the pair `{transfer}`, factor {factor}, on each of two channels: {meaning}."
    given = np.array(factor) if isinstance(factor, tuple) else factor
    inputs = {"features": y, "transfer": transfer, "factor": given, "boundary": boundary}
    expected = transfers.restrict(y, transfer, factor, boundary)
    return make(name, level, "restrict_features", text, inputs, expected, rounding)


def _prolong(
    name: str, level: str, transfer: str, factor: int | Shape, shape: Shape, boundary: str, meaning: str
) -> Case:
    unit, rounding = _unit(factor, len(shape))
    y = Draw(name).whole((2, *shape, 2), unit=unit)
    text = f"`P y` of the pair `{transfer}`, factor {factor}, on each of two channels: {meaning}."
    given = np.array(factor) if isinstance(factor, tuple) else factor
    inputs = {"features": y, "transfer": transfer, "factor": given, "boundary": boundary}
    expected = transfers.prolong(y, transfer, factor, boundary)
    return make(name, level, "prolong_features", text, inputs, expected, rounding)


def _operators() -> Iterator[Case]:
    for name, level, transfer, boundary, sizes in (
        ("galerkin-1d-linear", "core", "linear", "periodic", ((1, 1, 3), (8,))),
        ("galerkin-2d-linear", "core", "linear", "periodic", ((1, 1, 3, 3), (6, 6))),
        ("galerkin-1d-average", "full", "average", "periodic", ((1, 1, 3), (8,))),
        ("galerkin-channels", "full", "linear", "periodic", ((2, 1, 3), (8,))),
        ("galerkin-1d-zero", "full", "linear", "zero", ((1, 1, 3), (8,))),
        ("galerkin-1d-reflect", "full", "linear", "reflect", ((1, 1, 3), (8,))),
    ):
        stencil_shape, shape = sizes
        s = Draw(name).whole(stencil_shape, unit=8 ** len(shape))
        inputs = {
            "stencil": s,
            "shape": np.array(shape),
            "transfer": transfer,
            "factor": 2,
            "boundary": boundary,
        }
        expected = transfers.coarse_operator(s, shape, transfer, 2, boundary)
        text = f"""The Galerkin product `R K(s) P` of `{transfer}` with boundary `{boundary}`, the matrix
            itself (paper, equation 9). Rows and columns run over channels, then cells in C order."""
        yield make(name, level, "coarse_operator", text, inputs, expected)
