"""Cases of the basic block of a residual network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refmg_validation.conformance.build import Draw, Rounding, make
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference import blocks

CHANNELS_IN, CHANNELS = 2, 3


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    at = arguments("basic-block")
    # Else rounding decides which side of the corner is taken.
    assert blocks.distance_to_corner(at) > 2.0**-10
    features = blocks.basic_block(at)
    text = """The basic block of ResNet-18 and -34: a strided 3 x 3 convolution, batch norm in training
        mode, ReLU, a 3 x 3 convolution, batch norm, plus a strided 1 x 1 convolution with batch norm, ReLU.
        Cells outside the grid are 0. A variance divided by the number minus 1, statistics over cells alone
        or a forgotten shortcut change it."""
    yield make("basic-block", "core", "basic_block", text, at, features, _rounding(1))
    P = Draw("basic-block-cotangent").dyadic(features.shape)
    text = """The gradients of `<block, cotangent>` by features, stencils, scales and shifts. Mean and
        variance depend on the features: a gradient that takes them as numbers is wrong."""
    back = blocks.basic_block_adjoint(at | {"cotangent": P})
    yield make(
        "basic-block-adjoint", "full", "basic_block_adjoint", text, at | {"cotangent": P}, back,
               _rounding(3))  # fmt: skip


def _rounding(times: int) -> Rounding:
    """Return the tolerance of three convolutions and norms, or of as many ways back."""
    n, stages = 9 * CHANNELS, 6
    cells = 3 * 2 * 3  # of a channel, with the examples
    reason = f"""2 (n + N) eps: sums of n = {n} products and over N = {cells} cells and examples, {stages}
        stages{" there, and twice as many back" if times > 1 else ""}; scales and deviations are of size 1."""
    return Rounding(2.0 * (n + cells) * stages * times, " ".join(reason.split()))


def arguments(name: str) -> dict[str, Any]:
    """Return features on 5 x 4 cells, three examples, and parameters without symmetry."""
    draw = Draw(name)
    sizes = {
        1: (CHANNELS, CHANNELS_IN, 3, 3),
        2: (CHANNELS, CHANNELS, 3, 3),
        3: (CHANNELS, CHANNELS_IN, 1, 1),
    }
    found: dict[str, Any] = {"features": draw.dyadic((CHANNELS_IN, 5, 4, 3), 2.0)}
    for i, size in sizes.items():
        found |= {f"stencil_{i}": draw.dyadic(size), f"scale_{i}": 1 + draw.dyadic((CHANNELS,), 0.5)}
        found |= {f"shift_{i}": draw.dyadic((CHANNELS,), 0.5)}
    return found | {"stride": 2, "eps": 2.0**-16, "boundary": "zero"}
