"""The source model and the new one, run on the same images at their two resolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from refmg.torch.images import Batches, coarsen, pooled
from refmg.torch.normal_equations import NormalEquations, Solution
from refmg.torch.patches import as_rows, patches
from refmg.torch.tracing import Step, seen
from refmg.transfer import Shape

PATCH_NUMBERS = 2**25  # at most so many numbers of patches at a time, 128 MB in float32


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Two models and the fine images that both see, one of them restricted to the coarse grid.

    Parameters
    ----------
    source, target : Module
        In evaluation mode, of the same structure.
    images : Batches
        On the fine grid.
    factor : tuple of int
    direction : {"coarse", "fine"}
        Where the target works.
    """

    source: nn.Module
    target: nn.Module
    images: Batches
    factor: Shape
    direction: str

    def target_batches(self) -> Iterator[Tensor]:
        """Yield the images that the target sees."""
        for batch in self.images:
            yield self.pair(batch)[1]

    def pair(self, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the source and what the target see of fine images."""
        coarse = coarsen(fine, self.factor)
        return (fine, coarse) if self.direction == "coarse" else (coarse, fine)

    def _responses(self, step: Step, equations: NormalEquations) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what a layer of the target gets and what that of the source answers, call by call."""
        for batch in self.images:
            for_source, for_target = self.pair(batch)
            answers = seen(self.source, step, for_source, inputs=False)
            given = seen(self.target, step, for_target, inputs=True)
            yield from zip(given, answers, strict=True)
            equations.close()

    def convolution(
        self, step: Step, prior: Tensor, ridge: float, intercept: bool, smoothness: float = 0.0
    ) -> Solution:
        r"""Return the weights with which the target's layer answers like the source's.

        They minimise the squares of ``Q K(s) y - Q' z`` over all images and cells: y are the target's
        features, z the source's responses, Q and Q' average both to the coarser of their two grids. To
        coarse Q is the identity and Q' = R, to fine Q = R and Q' is the identity; P is constant on the
        coarse cells.

        Parameters
        ----------
        step : Step
            The convolution.
        prior : Tensor, shape (C_out, C_in / groups, k_1, .., k_d)
        ridge : float
        intercept : bool
        smoothness : float
            Weight of ``(I - P Q) K(s) y``, what the response has within the cells of the coarser grid.
        """
        layer, equations = step.module, NormalEquations(self.images.sums)
        assert isinstance(layer, _ConvNd)
        for y, z in self._responses(step, equations):
            grid = _common_grid(layer, y, z)
            examples = max(1, PATCH_NUMBERS // (prod(layer.kernel_size) * y[0].numel()))
            for part, answer in zip(y.split(examples), z.split(examples), strict=True):
                all_taps = patches(part, layer)
                x = pooled(all_taps, grid)
                equations.add(as_rows(x, layer.groups), as_rows(pooled(answer, grid), layer.groups))
                if smoothness and x.shape != all_taps.shape:
                    rough = all_taps - F.interpolate(x, all_taps.shape[2:], mode="nearest")
                    cells = all_taps[0, 0].numel() / x[0, 0].numel()
                    equations.penalize(as_rows(rough, layer.groups), smoothness / cells)
        return equations.solve(_grouped(prior, layer.groups), ridge, intercept)

    def linear(self, step: Step, prior: Tensor, ridge: float, intercept: bool) -> Solution:
        """Return the weights of a linear layer on vectors, in the same sense."""
        equations = NormalEquations(self.images.sums)
        for y, z in self._responses(step, equations):
            equations.add(as_rows(y, 1), as_rows(z, 1))
        return equations.solve(prior[None], ridge, intercept)


def _grouped(weights: Tensor, groups: int) -> Tensor:
    return weights.reshape(groups, weights.shape[0] // groups, -1)


def _common_grid(layer: _ConvNd, y: Tensor, z: Tensor) -> Shape:
    with torch.no_grad():
        made = layer(y[:1]).shape[2:]
    return tuple(min(a, b) for a, b in zip(made, z.shape[2:], strict=True))
