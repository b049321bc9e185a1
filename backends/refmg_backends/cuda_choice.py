"""Which way of computing a convolution on a GPU is taken: a fixed rule, from counted work.

The rule looks at shapes and types only, never at a clock or at the device, so that the same call takes
the same way, and gives the same bits, in every process. ``refmg bench`` times all ways beside the chosen
one; where its record contradicts the rule, the shares below are what to correct.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from refmg_backends.cuda_kernels.tiles import gradient_tile, tile_rows

METHODS = ("direct", "gemm", "explicit")
# Ceilings of an H100 SXM by its data sheet, operations and bytes a second. In float64 matrix products
# run on tensor cores, other code does not; TF32 is the rate without sparsity.
VECTOR_UNITS = {"float32": 67e12, "float64": 34e12}
MATRIX_UNITS = {"float32": 67e12, "float64": 67e12, "tf32": 494e12}
MEMORY = 3.35e12
# Assumed, not measured: the share of these that our kernels and the library's matrix product reach.
DIRECT_SHARE, GEMM_SHARE, MEMORY_SHARE = 0.7, 0.8, 0.8
# Assumed too: seconds to begin one kernel, and how many of them a way begins.
LAUNCH, DIRECT_LAUNCHES, GRADIENT_LAUNCHES, GEMM_LAUNCHES = 5e-6, 1, 2, 4


@dataclass(frozen=True)
class Shape:
    """Sizes of a convolution as a matrix product.

    Parameters
    ----------
    channels, inner : int
        Of the result, and summed over.
    taps : int
        Of the stencil.
    cells, outputs : int
        Read, and of the result.
    examples : int
        Columns of every cell.

    Examples
    --------
    >>> mnist = Shape(channels=16, inner=16, taps=9, cells=784, outputs=784, examples=128)
    >>> mnist.flops, mnist.moved("float32")
    (462422016, 12854272)
    """

    channels: int
    inner: int
    taps: int
    cells: int
    outputs: int
    examples: int

    @property
    def flops(self) -> int:
        """Operations: two for each tap, pair of channels, output and example."""
        return 2 * self.channels * self.inner * self.taps * self.outputs * self.examples

    def moved(self, dtype: str) -> int:
        """Bytes that must be read or written once: features on both sides, and the stencil."""
        features = (self.inner * self.cells + self.channels * self.outputs) * self.examples
        return (features + self.channels * self.inner * self.taps) * np.dtype(dtype).itemsize

    def gathered(self, dtype: str) -> int:
        """Bytes that a gathered matrix product writes and reads again."""
        gathered = self.inner * self.taps * self.outputs * self.examples
        return 2 * gathered * np.dtype(dtype).itemsize


def convolution_seconds(shape: Shape, dtype: str, tf32: bool = False) -> dict[str, float]:
    """Return the predicted seconds of a convolution by each way that the rule chooses among.

    Examples
    --------
    >>> resnet = Shape(64, 64, 9, 56 * 56, 56 * 56, 32)
    >>> {way: f"{1e6 * s:.0f} us" for way, s in convolution_seconds(resnet, "float32").items()}
    {'direct': '163 us', 'gemm': '350 us'}
    """
    rows = tile_rows(shape.channels)
    return _seconds(shape, ceil(shape.channels / rows) * rows / shape.channels, DIRECT_LAUNCHES, dtype, tf32)


def gradient_seconds(shape: Shape, dtype: str, tf32: bool = False) -> dict[str, float]:
    """Return the same of the stencil gradient of that convolution."""
    tile, width = gradient_tile(shape.channels), shape.inner * shape.taps
    rows, columns = ceil(shape.channels / tile.rows) * tile.rows, ceil(width / tile.columns) * tile.columns
    return _seconds(shape, rows * columns / (shape.channels * width), GRADIENT_LAUNCHES, dtype, tf32)


def _seconds(shape: Shape, padding: float, launches: int, dtype: str, tf32: bool) -> dict[str, float]:
    moving = shape.moved(dtype) / (MEMORY_SHARE * MEMORY)
    unit = "tf32" if tf32 and dtype == "float32" else dtype
    # The direct kernel computes while it reads; gathering and the product come one after the other.
    direct = max(padding * shape.flops / (DIRECT_SHARE * VECTOR_UNITS[dtype]), moving)
    product = shape.flops / (GEMM_SHARE * MATRIX_UNITS[unit])
    gathering = shape.gathered(dtype) / (MEMORY_SHARE * MEMORY)
    return {
        "direct": launches * LAUNCH + direct,
        "gemm": GEMM_LAUNCHES * LAUNCH + product + gathering + moving,
    }


def faster(seconds: dict[str, float]) -> str:
    """Return the way that is predicted to be the fastest; the direct one, of equals.

    Examples
    --------
    >>> faster({"direct": 1.0, "gemm": 1.0})
    'direct'
    """
    return min(seconds, key=lambda way: seconds[way])
