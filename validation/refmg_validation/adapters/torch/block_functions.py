"""The basic block of a residual network, as torchvision has it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from refmg_validation.adapters.torch import grid as grids
from refmg_validation.adapters.torch.grid import examples_first, examples_last
from refmg_validation.adapters.torch.tensors import axes, on_tensors

PARTS = ("features", *(f"{name}_{i}" for i in (1, 2, 3) for name in ("stencil", "scale", "shift")))


def _block(stride: Any, eps: float, boundary: str, features: Tensor, *parts: Tensor) -> Tensor:
    X = examples_first(features)
    strides = axes(stride, X.ndim - 2)

    def branch(i: int, X: Tensor, step: tuple[int, ...]) -> Tensor:
        s, scale, shift = parts[3 * i : 3 * i + 3]
        Z = grids.convolve(s, X, boundary, step)
        return F.batch_norm(Z, None, None, scale, shift, training=True, eps=float(eps))

    first = F.relu(branch(0, X, strides))
    return examples_last(F.relu(branch(1, first, (1,) * len(strides)) + branch(2, X, strides)))


@on_tensors
def basic_block(stride: Any, eps: float, boundary: str, **parts: Tensor) -> Tensor:
    """Return the features."""
    return _block(stride, eps, boundary, *(parts[name] for name in PARTS))


@on_tensors
def basic_block_adjoint(
    stride: Any, eps: float, boundary: str, cotangent: Tensor, **parts: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients, by backward autograd."""
    given = [parts[name].requires_grad_() for name in PARTS]
    return torch.autograd.grad(_block(stride, eps, boundary, *given), given, cotangent)
