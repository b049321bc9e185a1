"""Layer functions by explicit matrices, and their Jacobians as sparse matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refmg import Convolution, named_activation
from refmg.dynamics import make_layer
from refmg.explicit_layer import layer_jacobians
from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.reference.operators import convolve, convolve_transpose


def _smooth_relu(x: Floats) -> Floats:
    return np.where(np.abs(x) < 0.1, (x + 0.1) ** 2 / 0.4, np.maximum(x, 0))


SIGMA: dict[str, Callable[[Floats], Floats]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "smooth-relu": _smooth_relu,
    "identity": lambda x: x,
}


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

    def inner(y: Floats, s: Floats, b: Floats) -> Floats:
        return SIGMA[activation](convolve(y, s, boundary) + b.reshape(-1, *(1,) * (y.ndim - 1)))

    def around(y: Floats, s: Floats, b: Floats) -> Floats:
        return convolve_transpose(inner(y, s, b), s, y.shape[1:-1], boundary)

    if layer == "residual":
        return inner(features, stencil, bias)
    if layer == "symmetric":
        return -around(features, stencil, bias)
    half = len(features) // 2
    y, z = features[:half], features[half:]
    return np.concatenate([around(z, stencil[:half], bias[:half]), -around(y, stencil[half:], bias[half:])])


def jacobian(
    layer: str, activation: str, boundary: str, features: Floats, stencil: Floats, bias: Floats
) -> tuple[Floats, Floats]:
    """Return the derivatives by features, and by stencil and bias, as dense matrices."""

    def operator(s: Floats) -> Convolution:
        return Convolution(s, features.shape[1:-1], boundary, backend="numpy")

    made = make_layer(layer, operator, stencil, bias, named_activation(activation))
    by_features, by_parameters = layer_jacobians(made, features)
    return by_features.toarray(), by_parameters.toarray()
