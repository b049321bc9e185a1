"""The basic block of a residual network by refmg."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.resnet.architecture import BlockSpec, ConvolutionSpec
from refmg.resnet.steps import BlockSteps, Kept, TrainingRun
from refmg_backends import Geometry
from refmg_validation.adapters.backends.arrays import OnBackend, Shape, grid_of, per_axis

Arrays = NDArray[Any]
# The suite's names of a branch's parameters, and refmg's, which are PyTorch's.
PARTS = {"stencil": "conv{}.weight", "scale": "bn{}.weight", "shift": "bn{}.bias"}
BRANCHES = (1, 2, 3)


class BlockFunctions(OnBackend):
    """The block in training mode, forward and back."""

    def basic_block(self, **inputs: Any) -> Arrays:
        """Return the features."""
        return self._forward(inputs)[0]

    def basic_block_adjoint(self, cotangent: Arrays, **inputs: Any) -> tuple[Arrays, ...]:
        """Return the gradients by features, stencils, scales and shifts."""
        _, run, steps = self._forward(inputs)
        back = run.block_back(steps, self._flat(cotangent))
        run.sum_over_ranks()
        found = [run.gradient[name.format(i)] for i in BRANCHES for name in PARTS.values()]
        return self.down(back).reshape(inputs["features"].shape), *map(self.down, found)

    def _forward(self, inputs: dict[str, Any]) -> tuple[Arrays, TrainingRun, BlockSteps]:
        features = inputs["features"]
        parameters: dict[str, Any] = {}
        for i in BRANCHES:
            parameters |= {name.format(i): self.up(inputs[f"{part}_{i}"]) for part, name in PARTS.items()}
        block, Y = _specification(inputs), self._flat(features)
        running, eps = self._statistics(inputs), float(inputs["eps"])
        run = TrainingRun(self.place, parameters, running, momentum=0.1, half=False, epsilon=eps)
        out, steps = run.block(block, Y, Kept(self.place, Y, False))
        shape = out.shape[0], *block.first.geometry.out_shape, features.shape[-1]
        return self.down(out).reshape(shape), run, steps

    def _flat(self, features: Arrays) -> Any:
        return self.up(features.reshape(len(features), prod(grid_of(features)), -1))

    def _statistics(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return running statistics; training mode updates them, and no output depends on them."""
        zeros = self.up(np.zeros_like(inputs["shift_1"]))
        return {f"bn{i}.running_{part}": zeros for i in BRANCHES for part in ("mean", "var")}


def _specification(inputs: dict[str, Any]) -> BlockSpec:
    shape = grid_of(inputs["features"])
    steps, once = per_axis(inputs["stride"], len(shape)), (1,) * len(shape)
    first = _convolution(inputs, 1, shape, steps)
    second = _convolution(inputs, 2, first.geometry.out_shape, once)
    return BlockSpec("block", first, second, _convolution(inputs, 3, shape, steps))


def _convolution(inputs: dict[str, Any], i: int, shape: Shape, stride: Shape) -> ConvolutionSpec:
    c_out, c_in, *width = inputs[f"stencil_{i}"].shape
    geometry = Geometry(shape, tuple(width), inputs["boundary"], stride)
    return ConvolutionSpec(f"conv{i}", f"bn{i}", c_in, c_out, geometry)
