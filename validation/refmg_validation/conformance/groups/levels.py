"""Cases of time prolongation and of one switch between levels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from refmg_validation.conformance.build import Draw, Rounding, Shape, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference.arithmetic import condition, floats
from refmg_validation.conformance.reference.levels import at_nodes, switch_level
from refmg_validation.conformance.reference.transfers import stencil_map

# name, level, old nodes, new nodes, interpolation, what it is about
TIMES = (
    ("linear", "core", 2, 4, "linear", "The last new node lies past the last old one and takes its value"),
    ("linear-four-fold", "full", 2, 8, "linear", "Three new nodes between neighbours"),
    ("from-one", "full", 1, 4, "linear", "A single control is kept"),
    ("injection", "core", 4, 2, "linear", "To fewer nodes every other control is taken, none averaged"),
    ("constant", "full", 2, 4, "constant", "Each control is repeated until the next"),
    ("cubic", "full", 5, 10, "cubic", "Cubics through the four nearest nodes, constant after the last"),
)


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for name, level, old, new, interpolation, about in TIMES:
        draw = Draw(f"time-{name}")
        s, b = draw.whole((old, 2, 2, 3), unit=4), draw.whole((old, 2), unit=4)
        inputs = {"stencils": s, "biases": b, "nodes": new, "interpolation": interpolation}
        expected = tuple(at_nodes(part, new, interpolation) for part in (s, b))
        text = f"Controls at {old} nodes `j T / {old}` brought to {new} nodes, `{interpolation}`. {about}."
        rounding = sums(4) if interpolation == "cubic" else None
        yield make(f"time-{name}", level, "prolong_in_time", text, inputs, expected, rounding)
    yield _switch("switch-1d", "full", "linear", (4,), 1)
    yield _switch("switch-2d", "core", "linear", (4, 3), 2)
    yield _switch("switch-2d-average", "full", "average", (4, 3), 1)


def _switch(name: str, level: str, transfer: str, coarse: Shape, nodes: int) -> Case:
    draw, d = Draw(name), len(coarse)
    fine = tuple(2 * n for n in coarse)
    inputs = {
        "opening": draw.whole((2, 1, *(3,) * d)), "stencils": draw.whole((nodes, 2, 2, *(3,) * d)),
        "biases": draw.whole((nodes, 2)), "W": draw.whole((2, *coarse, 3)), "mu": draw.whole((3,)),
        "transfer": transfer, "shape": np.array(fine), "nodes": 2 * nodes, "boundary": "periodic",
    }  # fmt: skip
    expected = switch_level(**inputs | {"shape": fine})  # type: ignore[arg-type]
    cond = condition(floats(stencil_map((3,) * d, transfer, 2)))
    text = f"""One switch of a multilevel run by `{transfer}`, from {coarse} to {fine} cells and from
        {nodes} to {2 * nodes} controls: stencils by the inverse of the restriction, then linear in time;
        `W` by P as a function on the grid, not divided by anything, since logits carry `h^d`; biases only
        in time; `mu` kept."""
    reason = f"2 n eps cond: stencils solve systems of n = {3**d} unknowns with condition {cond:g}."
    return make(name, level, "switch_level", text, inputs, expected, Rounding(2.0 * 3**d * cond, reason))
