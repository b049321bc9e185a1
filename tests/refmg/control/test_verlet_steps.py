"""One Verlet step with three different layers, at the start, the middle and the end of its interval."""

import numpy as np
import pytest

from refmg import Convolution
from refmg.activation import named_activation
from refmg.dynamics import make_layer
from refmg.integrators import Verlet, VerletStep

SHAPE, EPS = (4, 5), np.finfo(float).eps
STEP = VerletStep(dt=0.3, kick=0.2, last=0.15)


def layers_of(seed):
    rng, tanh = np.random.default_rng(seed), named_activation("tanh")
    return [
        make_layer(
            "hamiltonian",
            lambda s: Convolution(s, SHAPE, backend="numpy"),
            rng.normal(size=(4, 2, 3, 3)),
            rng.normal(size=4),
            tanh,
        )
        for _ in range(3)
    ]


@pytest.fixture
def state():
    return np.random.default_rng(9).normal(size=(4, *SHAPE, 2))


def by_formula(layers, S):
    """Return a kick by the first layer, a step by the second and a kick by the third."""
    start, middle, end = layers
    y, z = S[:2], S[2:]
    z = z + STEP.kick * start.lower.apply(y)
    y = y + STEP.dt * middle.upper.apply(z)
    return np.concatenate([y, z + STEP.last * end.lower.apply(y)])


def near(found, expected, operations=1e3):
    """Return whether rounding explains the difference: some hundred operations an entry, three in a row."""
    return np.abs(found - expected).max() <= operations * EPS * np.abs(expected).max()


def test_each_part_takes_the_layer_of_its_time(state):
    layers = layers_of(0)
    expected = by_formula(layers, state)
    assert near(STEP.step(layers, state), expected)
    assert near(STEP.linearize(layers, state)[0], expected)
    others = [layers[0], layers[1], layers_of(1)[2]]
    assert not near(STEP.step(others, state), expected)


def test_backwards_each_part_takes_its_layer_again(state):
    layers = layers_of(0)
    assert near(STEP.reverse(layers, STEP.step(layers, state)), state)


def test_the_tangent_takes_the_directions_of_all_three_times(state):
    layers, directions = layers_of(0), layers_of(2)
    _, linear = STEP.linearize(layers, state)
    dS, P = (np.random.default_rng(seed).normal(size=state.shape) for seed in (3, 4))
    found = np.sum(P * STEP.tangent(linear, directions, dS))
    back, gradients = STEP.adjoint(linear, P)
    parts = [np.sum(back * dS)]
    for (stencil, bias), d in zip(gradients, directions, strict=True):
        both = np.concatenate([d.upper.convolution.stencil, d.lower.convolution.stencil])
        parts += [np.sum(stencil * both), np.sum(bias * np.concatenate([d.upper.bias, d.lower.bias]))]
    # Sums of 160 terms, of products of three steps.
    assert abs(found - sum(parts)) <= 1e4 * EPS * sum(map(abs, parts))
    assert min(map(abs, parts)) > 1e-3  # each time has a part


def test_half_kicks_are_halves_of_any_step():
    first, last = Verlet().schedule(0.3, 2)
    assert (first.kick, first.last, last.kick, last.last) == (0.15, 0.0, 0.3, 0.15)
