"""Stencils fitted to images, by PyTorch's least squares."""

from __future__ import annotations

from itertools import product
from math import prod

import torch
from torch import Tensor

from refmg_validation.adapters.torch.grid import Shape, convolve, examples_first, restrict


def over_modes(s: Tensor, exponent: float, factor: Shape, down: bool) -> Tensor:
    """Return the stencil fitted to all plane waves with power ``|f|^-exponent``, sum of the taps kept."""
    width, cells = s.shape[2:], tuple(32 * f for f in factor)
    axes = [torch.fft.fftfreq(n, dtype=torch.float64) for n in cells]
    waves = torch.cartesian_prod(*axes).reshape(-1, len(cells))[1:]  # without the constant one
    root_of_power = waves.norm(dim=1) ** (-exponent / 2)
    mean = torch.ones(len(waves), dtype=torch.complex128)
    for axis, f in enumerate(factor):
        mean = mean * sum(_wave(waves[:, axis] * a) for a in range(f)) / f
    rows = (root_of_power * mean)[:, None]
    seen = [rows * _wave(waves @ _offsets(width, step).T) for step in (factor, (1,) * len(factor))]
    coarse, fine = (torch.cat([part.real, part.imag]) for part in seen)
    own, other = (coarse, fine) if down else (fine, coarse)
    return _fit_keeping_sum(own, other, s)


def _wave(cycles: Tensor) -> Tensor:
    return torch.exp(2j * torch.pi * cycles)


def _offsets(width: Shape, step: Shape) -> Tensor:
    taps = product(*([f * (j - k // 2) for j in range(k)] for k, f in zip(width, step, strict=True)))
    return torch.tensor(list(taps), dtype=torch.float64)


def _fit_keeping_sum(own: Tensor, other: Tensor, s: Tensor) -> Tensor:
    """Minimise ``|own x - other s|`` over x with the sum of `s`: the last tap is what the others leave."""
    given = s.double().reshape(-1, own.shape[1]).T
    total = given.sum(dim=0)
    goal = other @ given - own[:, -1:] * total
    free = torch.linalg.lstsq(own[:, :-1] - own[:, -1:], goal).solution
    return torch.cat([free, (total - free.sum(dim=0))[None]]).T.reshape(s.shape).to(s.dtype)


def over_images(s: Tensor, images: Tensor, factor: Shape, down: bool) -> Tensor:
    """Return the stencil fitted to images ``(C, n_1, .., n_d, m)`` seen from every fine cell."""
    y, width = images.double(), s.shape[2:]
    dims = tuple(range(1, 1 + len(width)))
    mean = torch.zeros_like(y)
    for offset in product(*(range(f) for f in factor)):
        mean = mean + torch.roll(y, tuple(-a for a in offset), dims) / prod(factor)

    def seen(step: Shape) -> Tensor:
        shifts = [tuple(-int(a) for a in offset) for offset in _offsets(width, step)]
        return torch.stack([torch.roll(mean, shift, dims).reshape(-1) for shift in shifts], dim=1)

    coarse, fine = seen(factor), seen((1,) * len(factor))
    own, other = (coarse, fine) if down else (fine, coarse)
    given = s.double().reshape(-1, own.shape[1]).T
    return (torch.linalg.pinv(own) @ (other @ given)).T.reshape(s.shape).to(s.dtype)


def calibrated(s: Tensor, fine: Tensor, coarse: Tensor, ridge: float, boundary: str) -> Tensor:
    """Return the stencil whose responses on coarse features are nearest to the restricted fine ones."""
    c_out, c_in, *width = s.shape
    factor = tuple(f // c for f, c in zip(fine.shape[1:-1], coarse.shape[1:-1], strict=True))
    response = convolve(s, examples_first(fine), boundary)
    goal = restrict(response, "linear", factor, boundary).movedim(1, -1).reshape(-1, c_out)
    units = torch.eye(c_in * prod(width), dtype=s.dtype).reshape(-1, c_in, *width)
    seen = convolve(units, examples_first(coarse), boundary).movedim(1, -1).reshape(-1, len(units))
    normal, start = seen.T @ seen, s.reshape(c_out, -1).T
    weight = ridge * normal.diagonal().mean()
    step = torch.linalg.solve(
        normal + weight * torch.eye(len(units), dtype=s.dtype), seen.T @ (goal - seen @ start)
    )
    return (start + step).T.reshape(s.shape)
