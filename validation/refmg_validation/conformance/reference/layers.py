"""Layer functions by their formulas, and their Jacobians as dense matrices."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from refmg_validation.conformance.build import Floats, Shape
from refmg_validation.conformance.reference.arithmetic import tanh
from refmg_validation.conformance.reference.operators import read_cells
from refmg_validation.conformance.reference.varied import (
    Varied,
    constant,
    correlated,
    correlated_transposed,
    independent,
    joined,
)


def _tanh(x: Floats) -> tuple[Floats, Floats]:
    value = tanh(x)
    return value, 1 - value * value


def _relu(x: Floats) -> tuple[Floats, Floats]:
    return np.maximum(x, 0), np.where(x > 0, 1.0, 0.0)


def _smooth_relu(x: Floats) -> tuple[Floats, Floats]:
    bent = np.abs(x) < 0.1
    value, slope = _relu(x)
    return np.where(bent, (x + 0.1) * (x + 0.1) / 0.4, value), np.where(bent, (x + 0.1) / 0.2, slope)


def _identity(x: Floats) -> tuple[Floats, Floats]:
    return x, np.ones_like(x)


# Value and derivative.
SIGMA: dict[str, Callable[[Floats], tuple[Floats, Floats]]] = {
    "tanh": _tanh,
    "relu": _relu,
    "smooth-relu": _smooth_relu,
    "identity": _identity,
}


def activated(activation: str, x: Varied) -> Varied:
    """Return ``sigma(x)``."""
    value, slope = SIGMA[activation](x.value)
    return Varied(value, slope[..., None] * x.rate)


def on_grid(s: Varied, y: Varied, boundary: str) -> Varied:
    """Return ``K(s) y`` for arrays with their grid axes."""
    width, shape = s.value.shape[2:], y.value.shape[1:-1]
    cells = read_cells(width, shape, boundary, (1,) * len(shape))
    flat = correlated(cells, _taps(s), y.as_shape(len(y), prod(shape), y.value.shape[-1]))
    return flat.as_shape(len(s), *shape, y.value.shape[-1])


def _taps(s: Varied) -> Varied:
    return s.as_shape(*s.value.shape[:2], prod(s.value.shape[2:]))


def varied_layer(kind: str, activation: str, boundary: str, y: Varied, s: Varied, b: Varied) -> Varied:
    """Return ``F(y)`` for features ``(C, n_1, .., n_d, m)``."""
    shape: Shape = y.value.shape[1:-1]
    count, m = prod(shape), y.value.shape[-1]
    cells = read_cells(s.value.shape[2:], shape, boundary, (1,) * len(shape))

    def inner(y: Varied, s: Varied, b: Varied) -> Varied:
        z, bias = correlated(cells, s, y), b.as_shape(len(b), 1, 1)
        return activated(activation, z + bias)

    def around(y: Varied, s: Varied, b: Varied) -> Varied:
        return correlated_transposed(cells, s, inner(y, s, b), count)

    y, s, half = y.as_shape(len(y), count, m), _taps(s), len(y) // 2
    if kind == "residual":
        found = inner(y, s, b)
    elif kind == "symmetric":
        found = -around(y, s, b)
    else:
        upper = around(y[half:], s[:half], b[:half])
        found = joined(upper, -around(y[:half], s[half:], b[half:]))
    return found.as_shape(len(found), *shape, m)


def apply_layer(
    layer: str, activation: str, boundary: str, features: Floats, stencil: Floats, bias: Floats
) -> Floats:
    """Return ``F(y)``.

    Examples
    --------
    >>> shift = np.array([[[0.0, 1.0, 0.0]]])
    >>> Y = np.array([[[-2.0], [0.0], [2.0]]])
    >>> apply_layer("residual", "relu", "periodic", Y, shift, np.array([1.0])).ravel()
    array([0., 1., 3.])
    """
    return varied_layer(layer, activation, boundary, *map(constant, (features, stencil, bias))).value


def jacobian(
    layer: str, activation: str, boundary: str, features: Floats, stencil: Floats, bias: Floats
) -> tuple[Floats, Floats]:
    """Return the derivatives by features, and by stencil and bias, as dense matrices."""
    at = independent(features, stencil, bias)
    whole = varied_layer(layer, activation, boundary, *at).rate.reshape(features.size, -1)
    return whole[:, : features.size], whole[:, features.size :]
