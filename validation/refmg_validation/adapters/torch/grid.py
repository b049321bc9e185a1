"""Convolutions and transfers as a user of PyTorch would write them, on ``(N, C, H, W)``."""

from __future__ import annotations

from functools import reduce
from itertools import product
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

Shape = tuple[int, ...]
CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def examples_first(Y: Tensor) -> Tensor:
    """Return features ``(C, n_1, .., n_d, m)`` as PyTorch wants them, ``(m, C, n_1, .., n_d)``."""
    return Y.movedim(-1, 0)


def examples_last(X: Tensor) -> Tensor:
    """Return features ``(m, C, n_1, .., n_d)`` as refmg has them, ``(C, n_1, .., n_d, m)``."""
    return X.movedim(0, -1)


def pad(X: Tensor, margins: Shape, boundary: str) -> Tensor:
    """Return the features of a grid that goes on outside by `margins` cells on each side of every axis."""
    if boundary == "reflect":
        for axis, margin in enumerate(margins, start=2):
            X = _mirrored(X, axis, margin)
        return X
    sides = [m for margin in reversed(margins) for m in (margin, margin)]
    return F.pad(X, sides, mode={"periodic": "circular", "zero": "constant"}[boundary])


def _mirrored(X: Tensor, axis: int, margin: int) -> Tensor:
    """Repeat the cell at the edge: PyTorch's own "reflect" does not."""
    if not margin:
        return X
    before = X.narrow(axis, 0, margin).flip(axis)
    return torch.cat([before, X, X.narrow(axis, X.shape[axis] - margin, margin).flip(axis)], dim=axis)


def convolve(s: Tensor, X: Tensor, boundary: str, stride: int | Shape = 1) -> Tensor:
    """Return PyTorch's convolution, which is the cross-correlation of the paper's ``K(s)``."""
    margins = tuple((k - 1) // 2 for k in s.shape[2:])
    return CONVOLUTIONS[X.ndim - 2](pad(X, margins, boundary), s, stride=stride)


def restrict(X: Tensor, transfer: str, factor: Shape, boundary: str) -> Tensor:
    """Return ``R X``: block means, or means with the weights of a hat."""
    d = len(factor)
    if transfer != "full-weighting":
        return POOLS[d](X, factor, factor)
    weight, margins = _hat(factor, X), tuple(f - 1 for f in factor)
    flat = X.reshape(-1, 1, *X.shape[2:])
    found = CONVOLUTIONS[d](pad(flat, margins, boundary), weight / prod(factor), stride=factor)
    return found.reshape(*X.shape[:2], *found.shape[2:])


def prolong(X: Tensor, transfer: str, factor: Shape, boundary: str) -> Tensor:
    """Return ``P X``: interpolated on a grid that goes on for a cell, whose fine cells are then cut off."""
    d, fine = len(factor), [f * n for f, n in zip(factor, X.shape[2:], strict=True)]
    wide = pad(X, (1,) * d, boundary)
    if transfer == "linear":
        found = F.interpolate(wide, scale_factor=[float(f) for f in factor], mode=MODES[d])
    elif transfer == "average":
        found = F.interpolate(wide, scale_factor=[float(f) for f in factor], mode="nearest")
    else:
        found = _spread(wide, factor)
    inside = tuple(slice(f, f + n) for f, n in zip(factor, fine, strict=True))
    return found[(..., *inside)]


def _spread(X: Tensor, factor: Shape) -> Tensor:
    """Return hats about the first fine cell of every coarse one, with its first cell in its old place."""
    flat, d = X.reshape(-1, 1, *X.shape[2:]), len(factor)
    margins = tuple(f - 1 for f in factor)
    found = TRANSPOSED[d](flat, _hat(factor, X), stride=factor, padding=margins)
    return found.reshape(*X.shape[:2], *found.shape[2:])


def _hat(factor: Shape, like: Tensor) -> Tensor:
    axes = [1 - torch.arange(1 - f, f, dtype=like.dtype).abs() / f for f in factor]
    return reduce(lambda a, b: a[..., None] * b, axes)[None, None]


def restrict_stencil(s: Tensor, transfer: str, factor: Shape) -> Tensor:
    """Return the taps of ``R K(s) P``: its response to one cell, channel by channel."""
    (c_out, c_in), width = s.shape[:2], s.shape[2:]
    # Far enough from both ends that the response does not come round.
    cells = tuple(2 * k + 1 for k in width)
    impulse = torch.zeros((c_in, c_in, *cells), dtype=s.dtype)
    for c in range(c_in):
        impulse[(c, c, *(k for k in width))] = 1
    fine = convolve(s, prolong(impulse, transfer, factor, "periodic"), "periodic")
    response = restrict(fine, transfer, factor, "periodic")
    taps = [tuple(k + k // 2 - j for j, k in zip(tap, width, strict=True)) for tap in _taps(width)]
    return torch.stack([response[(..., *tap)].T for tap in taps], dim=-1).reshape(c_out, c_in, *width)


def prolong_stencil(s: Tensor, transfer: str, factor: Shape) -> Tensor:
    """Return the stencil that :func:`restrict_stencil` maps to `s`, by the paper's linear system (9)."""
    size, width = prod(s.shape[2:]), s.shape[2:]
    units = torch.eye(size, dtype=s.dtype).reshape(size, 1, *width)
    system = restrict_stencil(units, transfer, factor).reshape(size, size).T
    return torch.linalg.solve(system, s.reshape(-1, size).T).T.reshape(s.shape)


def _taps(width: Shape) -> list[Shape]:
    return list(product(*(range(k) for k in width)))
