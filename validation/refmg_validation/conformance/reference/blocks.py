"""The basic block of a residual network, with batch norm, by dense formulas."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.functions import BLOCK_PARTS
from refmg_validation.conformance.reference.arithmetic import product
from refmg_validation.conformance.reference.layers import activated
from refmg_validation.conformance.reference.learning import split
from refmg_validation.conformance.reference.operators import per_axis, read_cells
from refmg_validation.conformance.reference.varied import Varied, constant, correlated, independent

PARTS = tuple(BLOCK_PARTS.split())


def strided(s: Varied, y: Varied, boundary: str, stride: int) -> Varied:
    """Return ``K(s) y`` on every stride-th cell, for arrays with their grid axes."""
    width, shape, m = s.value.shape[2:], y.value.shape[1:-1], y.value.shape[-1]
    steps = per_axis(stride, len(shape))
    cells = read_cells(width, shape, boundary, steps)
    taps = s.as_shape(*s.value.shape[:2], prod(width))
    found = correlated(cells, taps, y.as_shape(len(y), prod(shape), m))
    return found.as_shape(len(s), *(-(-n // t) for n, t in zip(shape, steps, strict=True)), m)


def normalized(y: Varied, scale: Varied, shift: Varied, eps: float) -> Varied:
    """Return batch norm in training mode, channel by channel.

    Examples
    --------
    >>> y = constant(np.array([[[1.0], [3.0]], [[5.0], [5.0]]]))
    >>> scale, shift = constant(np.array([2.0, 1.0])), constant(np.array([0.0, 7.0]))
    >>> normalized(y, scale, shift, 0.5625).value.ravel()
    array([-1.6,  1.6,  7. ,  7. ])
    """
    channels, count = len(y), prod(y.value.shape[1:])
    flat = y.as_shape(channels, count)
    ones = np.full(count, 1 / count)
    parts = [_normalized(flat[c], scale.value[c], scale.rate[c], ones, eps) for c in range(channels)]
    value = np.stack([part[0] for part in parts]) + shift.value[:, None]
    rate = np.stack([part[1] for part in parts]) + shift.rate[:, None]
    return Varied(value.reshape(y.value.shape), rate.reshape(y.rate.shape))


def _normalized(
    y: Varied, scale: float, scale_rate: Floats, ones: Floats, eps: float
) -> tuple[Floats, Floats]:
    """Return one channel, and its derivative through mean and variance."""
    x = y.value - float(product(ones[None], y.value)[0])
    dx = y.rate - product(ones[None], y.rate)
    deviation = sqrt(float(product(ones[None], x * x)[0]) + eps)
    # d(1 / deviation) = -mean(x dx) / deviation^3
    inner = product(ones[None], x[:, None] * dx)
    z, dz = x / deviation, dx / deviation - x[:, None] * inner / deviation**3
    return scale * z, scale * dz + z[:, None] * scale_rate


def block(at: dict[str, Varied], stride: int, eps: float, boundary: str) -> tuple[Varied, list[Varied]]:
    """Return the features, and what goes into both activations."""

    def branch(i: int, y: Varied, step: int) -> Varied:
        return normalized(
            strided(at[f"stencil_{i}"], y, boundary, step), at[f"scale_{i}"], at[f"shift_{i}"], eps
        )

    first = branch(1, at["features"], stride)
    last = branch(2, activated("relu", first), 1) + branch(3, at["features"], stride)
    return activated("relu", last), [first, last]


def _of(inputs: dict[str, Any]) -> tuple[int, float, str]:
    return int(inputs["stride"]), float(inputs["eps"]), inputs["boundary"]


def basic_block(inputs: dict[str, Any]) -> Floats:
    """Return the features."""
    return block({name: constant(inputs[name]) for name in PARTS}, *_of(inputs))[0].value


def distance_to_corner(inputs: dict[str, Any]) -> float:
    """Return how near to 0 what is rectified comes: nearer than rounding, and the gradient is a toss."""
    parts = block({name: constant(inputs[name]) for name in PARTS}, *_of(inputs))[1]
    return min(float(np.abs(part.value).min()) for part in parts)


def jacobian(inputs: dict[str, Any]) -> Floats:
    """Return the derivative of the features by all parts, as a dense matrix."""
    values = [inputs[name] for name in PARTS]
    found = block(dict(zip(PARTS, independent(*values), strict=True)), *_of(inputs))[0]
    return found.rate.reshape(found.value.size, -1)


def basic_block_adjoint(inputs: dict[str, Any]) -> tuple[Floats, ...]:
    """Return the transposed derivative times the cotangent, part by part."""
    back = product(jacobian(inputs).T, inputs["cotangent"].ravel())
    return split(back, *(inputs[name] for name in PARTS))
