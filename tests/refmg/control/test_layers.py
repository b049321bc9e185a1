"""Layer functions by their formulas, on explicit matrices, and what every layer has."""

import numpy as np
import pytest

from refmg import Activation, Convolution, named_activation
from refmg.dynamics import (
    LAYERS,
    HamiltonianLayer,
    Layer,
    LinearizedLayer,
    ResidualLayer,
    SymmetricLayer,
    halves,
    make_layer,
)
from refmg_backends import Activation as BackendActivation

EPS = np.finfo(float).eps
KINDS = {"residual": ResidualLayer, "symmetric": SymmetricLayer, "hamiltonian": HamiltonianLayer}
SHAPE = (4, 3)


def convolve(stencil):
    return Convolution(stencil, SHAPE, backend="numpy")


def made(kind, seed=0):
    rng = np.random.default_rng(seed)
    inputs = 1 if kind == "hamiltonian" else 2
    s, b, Y = rng.normal(size=(2, inputs, 3, 3)), rng.normal(size=2), rng.normal(size=(2, *SHAPE, 3))
    return make_layer(kind, convolve, s, b, named_activation("tanh")), s, b, Y


def inner(s, b, Y):
    K = convolve(s).matrix()
    return K, np.tanh(K @ Y.reshape(-1, 3) + np.repeat(b, 12)[:, None])


def formula(kind, s, b, Y):
    if kind == "residual":
        return inner(s, b, Y)[1]
    if kind == "symmetric":
        K, z = inner(s, b, Y)
        return -(K.T @ z)
    K1, upper = inner(s[:1], b[:1], Y[1:])
    K2, lower = inner(s[1:], b[1:], Y[:1])
    return np.concatenate([K1.T @ upper, -(K2.T @ lower)])


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_its_formula(kind):
    layer, s, b, Y = made(kind)
    assert isinstance(layer, KINDS[kind])
    found, expected = layer.apply(Y), formula(kind, s, b, Y).reshape(Y.shape)
    assert np.abs(found - expected).max() <= 64 * EPS * np.abs(expected).max()
    stepped = layer.apply(Y, Y, 0.5)
    assert np.abs(stepped - (Y + 0.5 * expected)).max() <= 64 * EPS * np.abs(expected).max()


def members(protocol):
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_has_what_a_layer_has_to_have(kind):
    layer, _, _, Y = made(kind)
    assert members(Layer) == {"apply", "linearize", "prepare"}
    assert all(hasattr(layer, name) for name in members(Layer))
    value, linear = layer.linearize(Y)
    assert np.array_equal(value, layer.apply(Y))
    assert members(LinearizedLayer) == {"tangent", "adjoint"}
    assert all(hasattr(linear, name) for name in members(LinearizedLayer))
    assert not hasattr(linear, "prepare")


def test_a_symmetric_layer_has_a_sign():
    K, b, tanh = convolve(np.ones((2, 2, 3, 3))), np.zeros(2), named_activation("tanh")
    Y = np.random.default_rng(1).normal(size=(2, *SHAPE, 2))
    assert np.array_equal(SymmetricLayer(K, b, tanh).apply(Y), -SymmetricLayer(K, b, tanh, 1.0).apply(Y))


def test_layers_are_made_of_a_convolution_a_bias_and_an_activation():
    _, s, b, Y = made("hamiltonian")
    tanh = named_activation("tanh")
    upper, lower = (
        SymmetricLayer(convolve(s[:1]), b[:1], tanh, 1.0),
        SymmetricLayer(convolve(s[1:]), b[1:], tanh),
    )
    expected = make_layer("hamiltonian", convolve, s, b, tanh).apply(Y)
    assert np.array_equal(HamiltonianLayer(upper, lower).apply(Y), expected)
    assert np.array_equal(ResidualLayer(convolve(s[:1]), b[:1], tanh).apply(Y[1:]), upper.inner.apply(Y[1:]))


def test_halves_are_of_the_first_axis():
    upper, lower = halves(np.arange(12).reshape(4, 3))
    assert (upper[-1, -1], lower[0, 0]) == (5, 6)


def test_an_activation_is_a_value_with_its_slope():
    square = Activation("square", lambda xp, x: x**2, lambda xp, a, x: 2 * x)
    assert Activation is BackendActivation
    value, slope = square.with_slope(np, np.array([3.0, -1.0]))
    assert value.tolist() == [9.0, 1.0]
    assert slope.tolist() == [6.0, -2.0]
    layer = make_layer("residual", convolve, np.ones((1, 1, 1, 1)), np.zeros(1), square)
    assert (layer.apply(np.full((1, *SHAPE, 1), -2.0)) == 4.0).all()
