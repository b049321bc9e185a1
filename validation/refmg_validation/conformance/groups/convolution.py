"""Cases of convolutions, their transposes and stencil gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Draw, Floats, Shape, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference import operators

BOUNDARIES = {
    "periodic": "the grid goes on with its other end",
    "zero": "cells outside the grid are 0",
    "reflect": "the grid is mirrored at the faces of its outermost cells, which are repeated (half-sample "
    "symmetry, SciPy's `reflect`; PyTorch's `reflect` does not repeat them)",
}


@dataclass(frozen=True)
class Setting:
    """Sizes of a convolution, and whole numbers for it."""

    c_out: int
    c_in: int
    width: Shape
    shape: Shape
    boundary: str = "periodic"
    stride: int | Shape = 1

    @property
    def rest(self) -> dict[str, Any]:
        """Boundary and stride: one number, or an array of one an axis."""
        stride = np.array(self.stride) if isinstance(self.stride, tuple) else self.stride
        return {"boundary": self.boundary, "stride": stride}

    @property
    def where(self) -> str:
        """The setting in words."""
        axes = "one axis" if len(self.shape) == 1 else f"{len(self.shape)} axes"
        return f"on {axes}, boundary `{self.boundary}`, stride {self.stride}"

    def features(self, name: str) -> Floats:
        """Return two examples."""
        return Draw(f"{name}-features").whole((self.c_in, *self.shape, 2))

    def stencil(self, name: str) -> Floats:
        """Return a stencil without symmetry."""
        return Draw(f"{name}-stencil").whole((self.c_out, self.c_in, *self.width))

    def cotangent(self, name: str) -> Floats:
        """Return two examples on the grid of the outputs."""
        steps = operators.per_axis(self.stride, len(self.shape))
        out = tuple(-(-n // t) for n, t in zip(self.shape, steps, strict=True))
        return Draw(f"{name}-cotangent").whole((self.c_out, *out, 2))


LINE = Setting(1, 1, (3,), (6,))
PLANE = Setting(2, 3, (3, 3), (5, 4))
STRIDED = Setting(2, 1, (3, 3), (6, 5), stride=2)
UNEVEN = Setting(1, 2, (3, 3), (5, 6), stride=(2, 3))
SPACE = Setting(2, 2, (3, 3, 3), (4, 3, 5))
STRIDED_SPACE = Setting(1, 2, (3, 3, 3), (4, 3, 5), "zero", 2)


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for boundary, meaning in BOUNDARIES.items():
        yield from _with_boundary(boundary, meaning)
    yield from _shapes()
    yield _rounded()
    for boundary in BOUNDARIES:
        for name, level, setting in (("2d", "core", PLANE), ("2d-stride-2", "full", STRIDED)):
            label, at = f"{name}-{boundary}", replace(setting, boundary=boundary)
            yield _transposed(f"transpose-{label}", level, at)
            yield _gradient(f"gradient-{label}", level, at)
    for boundary in BOUNDARIES:
        at = replace(LINE, boundary=boundary)
        name, level = ("transpose-1d", "core") if at == LINE else (f"transpose-1d-{boundary}", "full")
        yield _transposed(name, level, at)
        yield _gradient(f"gradient-1d-{boundary}", "full", at)
    for name, at in (("2d-stride-per-axis", UNEVEN), ("3d-stride-2", STRIDED_SPACE)):
        text = (
            f"The convolution {at.where}: output cell `o` is centred at input cell `o * stride` on each axis."
        )
        yield _convolve(f"convolve-{name}", "full", at, text)
        yield _transposed(f"transpose-{name}", "full", at)
        yield _gradient(f"gradient-{name}", "full", at)
    yield _transposed("transpose-3d", "full", SPACE)
    yield _gradient("gradient-3d", "full", SPACE)


def _with_boundary(boundary: str, meaning: str) -> Iterator[Case]:
    line, plane, strided, space = (replace(s, boundary=boundary) for s in (LINE, PLANE, STRIDED, SPACE))
    text = f"""One channel on a line, boundary `{boundary}`: {meaning}. The stencil has no symmetry:
        flipped taps show."""
    yield _convolve(f"convolve-1d-{boundary}", "core", line, text)
    text = f"""Three channels to two on a grid that is not square, two examples, boundary `{boundary}`.
        Transposed channels, exchanged axes and a flipped stencil all change the result."""
    yield _convolve(f"convolve-2d-{boundary}", "core", plane, text)
    text = f"""Stride 2: output cell `o` is centred at input cell `2 o`, also where the number of cells is
        odd. Boundary `{boundary}`."""
    yield _convolve(f"convolve-2d-stride-2-{boundary}", "full", strided, text)
    text = f"Three axes of different lengths, two channels, boundary `{boundary}`."
    yield _convolve(f"convolve-3d-{boundary}", "full", space, text)


def _shapes() -> Iterator[Case]:
    text = "A stencil of 7 taps on 3 cells: several taps meet the same cell, and add up."
    yield _convolve("convolve-1d-wraps-twice", "full", Setting(1, 1, (7,), (3,)), text)
    text = "Widths that differ by axis: the padding is 2 on the first, 1 on the second."
    yield _convolve("convolve-2d-width-5x3", "full", Setting(1, 2, (5, 3), (6, 7), "zero"), text)
    text = "A single tap: only the channels are mixed, by a `C_out x C_in` matrix from the left."
    yield _convolve("convolve-2d-width-1", "full", Setting(3, 2, (1, 1), (3, 2)), text)
    text = "Stride 3 and width 5 on a line: outputs are centred at every third cell, the first one at cell 0."
    yield _convolve("convolve-1d-stride-3", "full", Setting(1, 1, (5,), (9,), stride=3), text)


def _rounded() -> Case:
    draw = Draw("convolve-2d-rounded")
    # Taps of 20 bits: their products with features of 7 bits round in float32.
    fine = draw.integers(2**20, (4, 4, 3, 3)) / 2.0**20
    y = draw.dyadic((4, 6, 5, 3))
    text = """Four channels, with taps of so many bits that products and sums round in float32: fast
        algorithms (Winograd, FFT) may order them anew, and have to stay within the tolerance."""
    inputs = {"features": y, "stencil": fine, "boundary": "periodic", "stride": 1}
    return make(
        "convolve-2d-rounded", "full", "convolve", text, inputs, operators.convolve(y, fine), sums(36)
    )


def _convolve(name: str, level: str, at: Setting, text: str) -> Case:
    inputs = {"features": at.features(name), "stencil": at.stencil(name), **at.rest}
    return make(name, level, "convolve", text, inputs, operators.convolve(**inputs))  # type: ignore[arg-type]


def _transposed(name: str, level: str, at: Setting) -> Case:
    inputs = {"features": at.cotangent(name), "stencil": at.stencil(name), **at.rest}
    expected = operators.convolve_transpose(**inputs, shape=at.shape)  # type: ignore[arg-type]
    text = f"""The transposed matrix {at.where}. It is the convolution with the flipped stencil and
        exchanged channels only where the boundary is periodic or zero and the stride is 1."""
    return make(name, level, "convolve_transpose", text, inputs | {"shape": np.array(at.shape)}, expected)


def _gradient(name: str, level: str, at: Setting) -> Case:
    inputs = {"features": at.features(name), "cotangent": at.cotangent(name), **at.rest}
    expected = operators.stencil_gradient(**inputs, width=at.width)  # type: ignore[arg-type]
    text = f"""The gradient of `<K(s) y, z>` in the stencil {at.where}: summed over cells and examples,
        channels of the outputs first."""
    return make(name, level, "stencil_gradient", text, inputs | {"width": np.array(at.width)}, expected)
