"""Regularisers mean the same at every resolution and depth, to first order in h and dt."""

from math import prod

import numpy as np
import pytest

from refmg import Architecture, Controls, Grid, Regularization
from refmg.checks import order_test


def weights_energy(n, d):
    """The smoothness of prod cos(pi x_i); the integral of |grad|^2 is d pi^2 / 2^d."""
    grid = Grid((n,) * d)
    x = (np.arange(n) + 0.5) / n
    W = np.ones((1, *grid.shape, 1))
    for axis in range(d):
        W = W * np.cos(np.pi * x).reshape([-1 if i == axis + 1 else 1 for i in range(d + 2)])
    return 0.5 * float(np.sum(W * Regularization(alpha_W=1.0).of_weights(np, W, grid)))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_smoothness_of_the_weights_at_three_resolutions(d):
    exact = 0.5 * d * np.pi**2 / 2**d
    test = order_test(lambda n: weights_energy(n, d), exact, expected=2, steps=(16, 32, 64))
    # The gradient vanishes at the ends here, which makes the first order a second.
    assert test.passed, str(test)
    assert test.errors[0] < 1 / 16


def control_energy(nodes, weights):
    a = Architecture((4,), channels=1, layers=nodes, final_time=2.0, classes=2)
    t = np.arange(nodes) * a.control_dt
    theta = np.broadcast_to((1 + t**2)[:, None], (nodes, prod(a.stencil_shape)))
    c = Controls(np.zeros(a.opening_shape), theta.reshape(nodes, *a.stencil_shape), np.zeros((nodes, 1)))
    return weights.value_of_controls(np, c, a.control_dt)


@pytest.mark.parametrize(
    ("weights", "integral"),
    [
        # Three taps; of (2 t)^2 and of (1 + t^2)^2 from 0 to 2.
        (Regularization(alpha_t=1.0), 0.5 * 3 * 32 / 3),
        (Regularization(alpha_0=1.0), 0.5 * 3 * (2 + 16 / 3 + 32 / 5)),
    ],
)
def test_controls_at_three_depths(weights, integral):
    test = order_test(lambda M: control_energy(M, weights), integral, expected=1, steps=(64, 128, 256))
    assert test.passed, str(test)


def test_a_regulariser_without_mesh_scaling_would_be_noticed():
    def unscaled(M):
        return control_energy(M, Regularization(alpha_t=1.0)) / M

    assert not order_test(unscaled, 16.0, expected=1, steps=(64, 128, 256)).passed


def test_the_control_grid_counts_not_the_steps():
    coarse, fine = (
        Architecture((4,), channels=1, layers=N, control_nodes=4, classes=2).control_dt for N in (4, 64)
    )
    assert coarse == fine == 0.25
