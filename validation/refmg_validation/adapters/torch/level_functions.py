"""From one depth or resolution to the next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from refmg_validation.adapters.torch import grid as grids
from refmg_validation.adapters.torch.grid import examples_first, examples_last
from refmg_validation.adapters.torch.tensors import axes, on_tensors


@on_tensors
def prolong_in_time(
    stencils: Tensor, biases: Tensor, nodes: int, interpolation: str
) -> tuple[Tensor, Tensor]:
    """Return the controls at other nodes of the same time interval."""
    matrix = _time_matrix(len(stencils), int(nodes), interpolation).to(stencils.dtype)
    return torch.tensordot(matrix, stencils, 1), matrix @ biases


def _time_matrix(old: int, new: int, interpolation: str) -> Tensor:
    if new <= old:
        return torch.eye(old, dtype=torch.float64)[:: old // new]
    place = (torch.arange(new, dtype=torch.float64) * old / new).clamp(max=old - 1)
    if interpolation == "constant":
        return torch.eye(old, dtype=torch.float64)[place.floor().long()]
    points = min({"linear": 2, "cubic": 4}[interpolation], old)
    first = (place.floor().long() - (points - 1) // 2).clamp(0, old - points)
    matrix = torch.zeros((new, old), dtype=torch.float64)
    for j in range(points):
        weight = torch.ones(new, dtype=torch.float64)
        for i in range(points):
            weight = weight if i == j else weight * (place - first - i) / (j - i)
        matrix[torch.arange(new), first + j] = weight
    return matrix


@on_tensors
def switch_level(
    opening: Tensor,
    stencils: Tensor,
    biases: Tensor,
    W: Tensor,
    mu: Tensor,
    transfer: str,
    shape: Any,
    nodes: int,
    boundary: str,
) -> tuple[Tensor, ...]:
    """Return all parameters on a finer grid and at more nodes in time."""
    cells = W.shape[1:-1]
    factor = tuple(f // c for f, c in zip(axes(shape, len(cells)), cells, strict=True))
    fine = torch.stack([grids.prolong_stencil(s, transfer, factor) for s in stencils])
    matrix = _time_matrix(len(stencils), int(nodes), "linear").to(stencils.dtype)
    moved = examples_last(grids.prolong(examples_first(W), transfer, factor, boundary))
    return (
        grids.prolong_stencil(opening, transfer, factor),
        torch.tensordot(matrix, fine, 1),
        matrix @ biases,
        moved,
        mu,
    )
