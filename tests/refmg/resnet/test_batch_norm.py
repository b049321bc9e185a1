"""Batch normalisation and its adjoint against dense Jacobians by complex steps."""

import numpy as np
import pytest

from refmg import RefmgError
from refmg.resnet import BatchNorm, BatchNormAdjoint, batch_norm
from refmg.resnet.batch_norm import EPSILON, updated_statistics

EPS = np.finfo(float).eps
SHAPE = C, CELLS, M = 2, 3, 2
SIZE = C * CELLS * M
RUNNING = np.array([0.25, -1.0]), np.array([0.5, 2.0])


def formula(X, weight, bias, running, epsilon=EPSILON):
    """Batch norm written down once more, for complex numbers too."""
    column = (slice(None), None, None)
    mean = X.mean(axis=(1, 2)) if running is None else running[0]
    d = X - mean[column]
    variance = (d * d).mean(axis=(1, 2)) if running is None else running[1]
    return weight[column] * d / np.sqrt(variance + epsilon)[column] + bias[column]


def dense_jacobian(function, x):
    """The Jacobian by complex steps: exact to rounding, no difference is taken."""
    h, columns = 1e-30, []
    for k in range(x.size):
        z = x.astype(complex).ravel()
        z[k] += 1j * h
        columns.append(function(z.reshape(x.shape)).imag.ravel() / h)
    return np.stack(columns, axis=1)


def numbers():
    rng = np.random.default_rng(0)
    return rng.standard_normal(SHAPE), rng.standard_normal(C) + 2, rng.standard_normal(C)


def on(backend, running):
    return None if running is None else tuple(map(backend.asarray, running))


@pytest.mark.parametrize("running", [None, RUNNING], ids=["training", "evaluation"])
def test_the_adjoint_is_the_transposed_dense_jacobian(backend, running):
    X, weight, bias = numbers()
    Y = formula(X, weight, bias, running)
    norm = batch_norm(backend, *map(backend.asarray, (X, weight, bias)), on(backend, running))
    assert isinstance(norm, BatchNorm)
    # A handful of sums of 6 numbers near 1, divided by a deviation near 1.
    assert np.abs(backend.to_numpy(norm.output) - Y).max() <= 64 * EPS
    jacobians = [
        dense_jacobian(lambda x: formula(x, weight, bias, running), X),
        dense_jacobian(lambda g: formula(X, g, bias, running), weight),
        dense_jacobian(lambda b: formula(X, weight, b, running), bias),
    ]
    for k in range(SIZE):
        unit = np.zeros(SIZE)
        unit[k] = 1
        found = norm.adjoint(backend.asarray(unit.reshape(SHAPE)), backend.asarray(X))
        assert isinstance(found, BatchNormAdjoint)
        for J, ours in zip(jacobians, (found.features, found.weight, found.bias), strict=True):
            assert np.abs(backend.to_numpy(ours).ravel() - J[k]).max() <= 64 * EPS * max(1, np.abs(J).max())
    if running is None:  # the comparison would notice statistics that are taken for constants
        wrong = dense_jacobian(lambda x: formula(x, weight, bias, (X.mean((1, 2)), X.var((1, 2)))), X)
        assert np.abs(wrong - jacobians[0]).max() > 0.1


def test_rectifier_and_base_are_a_diagonal_of_zeros_and_ones(backend):
    X, weight, bias = numbers()
    base, P = np.random.default_rng(1).standard_normal((2, *SHAPE))
    norm = batch_norm(
        backend, *map(backend.asarray, (X, weight, bias)), None, backend.asarray(base), rectify=True
    )
    plain = formula(X, weight, bias, None) + base
    assert np.abs(backend.to_numpy(norm.output) - np.maximum(plain, 0)).max() <= 64 * EPS
    assert (plain < 0).any()
    assert (plain > 0).any()
    found = norm.adjoint(backend.asarray(P), backend.asarray(X))
    D = np.where(plain > 0, P, 0)
    assert np.array_equal(backend.to_numpy(found.base), D)
    J = dense_jacobian(lambda x: formula(x, weight, bias, None), X)
    back = backend.to_numpy(found.features).ravel()
    assert np.abs(back - J.T @ D.ravel()).max() <= 128 * EPS * np.abs(J).max()


def test_another_epsilon_is_that_of_the_adjoint_too(backend):
    X, weight, bias = numbers()
    norm = batch_norm(backend, *map(backend.asarray, (X, weight, bias)), epsilon=0.5)
    assert np.abs(backend.to_numpy(norm.output) - formula(X, weight, bias, None, 0.5)).max() <= 64 * EPS
    P = np.random.default_rng(1).standard_normal(SHAPE)
    back = backend.to_numpy(norm.adjoint(backend.asarray(P), backend.asarray(X)).features).ravel()
    J, other = (dense_jacobian(lambda x, e=e: formula(x, weight, bias, None, e), X) for e in (0.5, EPSILON))
    assert np.abs(back - J.T @ P.ravel()).max() <= 128 * EPS * np.abs(J).max()
    assert np.abs(back - other.T @ P.ravel()).max() > 0.1


def test_a_constant_and_the_features_themselves_are_in_the_kernel_of_the_adjoint(backend):
    """What a shift or a scaling of the input would change: nothing, but for epsilon."""
    X, weight, bias = numbers()
    norm = batch_norm(backend, *map(backend.asarray, (X, weight, bias)))
    constant = norm.adjoint(backend.asarray(np.ones(SHAPE)), backend.asarray(X)).features
    scaled = norm.adjoint(
        norm.output - backend.asarray(bias[:, None, None] + 0 * X), backend.asarray(X)
    ).features
    assert np.abs(backend.to_numpy(constant)).max() <= 64 * EPS
    # The variance of the normalised features is v / (v + epsilon), not 1.
    assert np.abs(backend.to_numpy(scaled)).max() <= 64 * EPSILON


def test_running_statistics_are_a_moving_average_with_the_unbiased_variance(backend):
    X, weight, bias = numbers()
    norm = batch_norm(backend, *map(backend.asarray, (X, weight, bias)))
    old = tuple(map(backend.asarray, RUNNING))
    mean, variance = map(backend.to_numpy, updated_statistics(old, norm, CELLS * M, 0.1))
    assert np.abs(mean - (0.9 * RUNNING[0] + 0.1 * X.mean((1, 2)))).max() <= 8 * EPS
    assert np.abs(variance - (0.9 * RUNNING[1] + 0.1 * X.var((1, 2), ddof=1))).max() <= 16 * EPS


def test_one_number_a_channel_has_no_deviation(backend):
    one = backend.asarray(np.ones((2, 1, 1)))
    v = backend.asarray(np.ones(2))
    with pytest.raises(RefmgError, match="one number a channel"):
        batch_norm(backend, one, v, v)
    assert backend.to_numpy(batch_norm(backend, one, v, v, (v, v)).output).ravel().tolist() == [1.0, 1.0]
