"""What acts on grids: convolutions, R and P, maps of stencils."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from refmg_validation.adapters.torch import grid as grids
from refmg_validation.adapters.torch import image_fits, networks
from refmg_validation.adapters.torch.grid import examples_first, examples_last
from refmg_validation.adapters.torch.tensors import axes, on_tensors


@on_tensors
def convolve(features: Tensor, stencil: Tensor, boundary: str, stride: Any) -> Tensor:
    """Return ``K(s) y``."""
    steps = axes(stride, stencil.ndim - 2)
    return examples_last(grids.convolve(stencil, examples_first(features), boundary, steps))


@on_tensors
def convolve_transpose(features: Tensor, stencil: Tensor, shape: Any, boundary: str, stride: Any) -> Tensor:
    """Return ``K(s)^T z``, by autograd."""
    d = stencil.ndim - 2
    cells, steps, Z = axes(shape, d), axes(stride, d), examples_first(features)
    return examples_last(networks.convolve_transpose(stencil, Z, cells, boundary, steps))


@on_tensors
def stencil_gradient(features: Tensor, cotangent: Tensor, width: Any, boundary: str, stride: Any) -> Tensor:
    """Return the gradient of ``<K(s) y, z>`` in the stencil, by autograd."""
    d = features.ndim - 2
    zero = torch.zeros((cotangent.shape[0], features.shape[0], *axes(width, d)), dtype=features.dtype)
    X, Z, steps = examples_first(features), examples_first(cotangent), axes(stride, d)
    return torch.func.grad(lambda s: (grids.convolve(s, X, boundary, steps) * Z).sum())(zero)


@on_tensors
def restrict_features(features: Tensor, transfer: str, factor: Any, boundary: str) -> Tensor:
    """Return ``R y``."""
    factors = axes(factor, features.ndim - 2)
    return examples_last(grids.restrict(examples_first(features), transfer, factors, boundary))


@on_tensors
def prolong_features(features: Tensor, transfer: str, factor: Any, boundary: str) -> Tensor:
    """Return ``P y``."""
    factors = axes(factor, features.ndim - 2)
    return examples_last(grids.prolong(examples_first(features), transfer, factors, boundary))


@on_tensors
def coarse_operator(stencil: Tensor, shape: Any, transfer: str, factor: Any, boundary: str) -> Tensor:
    """Return ``R K(s) P``, column by column."""
    d, channels = stencil.ndim - 2, stencil.shape[1]
    factors = axes(factor, d)
    coarse = [n // f for n, f in zip(axes(shape, d), factors, strict=True)]
    columns = torch.eye(channels * prod(coarse), dtype=stencil.dtype).reshape(-1, channels, *coarse)
    fine = grids.convolve(stencil, grids.prolong(columns, transfer, factors, boundary), boundary)
    return grids.restrict(fine, transfer, factors, boundary).flatten(1).T


@on_tensors
def restrict_stencil(stencil: Tensor, transfer: str, factor: Any) -> Tensor:
    """Return the stencil on the coarse grid, read from the response to one cell."""
    return grids.restrict_stencil(stencil, transfer, axes(factor, stencil.ndim - 2))


@on_tensors
def prolong_stencil(stencil: Tensor, transfer: str, factor: Any) -> Tensor:
    """Return the stencil on the fine grid, by the paper's linear system."""
    return grids.prolong_stencil(stencil, transfer, axes(factor, stencil.ndim - 2))


@on_tensors
def power_law_restrict(stencil: Tensor, exponent: float, factor: Any) -> Tensor:
    """Return the stencil fitted to plane waves."""
    return image_fits.over_modes(stencil, exponent, axes(factor, stencil.ndim - 2), down=True)


@on_tensors
def power_law_prolong(stencil: Tensor, exponent: float, factor: Any) -> Tensor:
    """Return the same from coarse to fine."""
    return image_fits.over_modes(stencil, exponent, axes(factor, stencil.ndim - 2), down=False)


@on_tensors
def spectrum_restrict(stencil: Tensor, images: Tensor, factor: Any) -> Tensor:
    """Return the stencil fitted to images."""
    return image_fits.over_images(stencil, images, axes(factor, stencil.ndim - 2), down=True)


@on_tensors
def spectrum_prolong(stencil: Tensor, images: Tensor, factor: Any) -> Tensor:
    """Return the same from coarse to fine."""
    return image_fits.over_images(stencil, images, axes(factor, stencil.ndim - 2), down=False)


@on_tensors
def calibrated_stencil(
    stencil: Tensor, fine_features: Tensor, coarse_features: Tensor, ridge: float, boundary: str
) -> Tensor:
    """Return the stencil fitted to the fine one's restricted responses."""
    return image_fits.calibrated(stencil, fine_features, coarse_features, ridge, boundary)
