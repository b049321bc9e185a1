"""The derivative checks themselves: each accepts what is right and rejects what is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator

from refmg import RefmgError
from refmg.checks import (
    ComplexStepTest,
    DotTest,
    OrderTest,
    TaylorTest,
    complex_step_test,
    dot_test,
    dot_test_operator,
    observed_orders,
    order_test,
    taylor_test,
)

A = np.random.default_rng(31).normal(size=(7, 5))


def rng():
    return np.random.default_rng(32)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["float32", "float64"]), st.integers(0, 99))
def test_the_dot_test_accepts_transposes(m, n, dtype, seed):
    own = np.random.default_rng(seed)
    B = own.normal(size=(m, n)).astype(dtype)
    assert dot_test(lambda x: B @ x, lambda y: B.T @ y, (n, m), own, dtype=dtype).passed


@pytest.mark.parametrize("wrong", [-1.0, 1 + 1e-5, 1 + 1e-12, 2.0, 0.0, float("nan")])
def test_the_dot_test_rejects_factors(wrong):
    test = dot_test(lambda x: A @ x, lambda y: wrong * (A.T @ y), (5, 7), rng())
    assert not test.passed
    assert "FAILED: this is not the adjoint" in str(test)


def test_the_dot_test_rejects_a_missing_transpose_and_one_wrong_entry():
    S = A[:5] + 0
    assert not dot_test(lambda x: S @ x, lambda y: S @ y, (5, 5), rng()).passed
    off = A.T.copy()
    off[2, 3] += 1e-9
    assert not dot_test(lambda x: A @ x, lambda y: off @ y, (5, 7), rng()).passed


def test_the_dot_test_takes_operators_and_prints_both_sides():
    operator = LinearOperator(A.shape, matvec=lambda x: A @ x, rmatvec=lambda y: A.T @ y, dtype=float)
    test = dot_test_operator(operator, rng())
    assert test.passed
    assert str(test).count("<x, A^T y>") == 3
    assert dot_test_operator(np.zeros((3, 2)), rng()).passed


def value(x):
    return float(np.sum(np.exp(np.sin(x))))


def gradient(x):
    return np.exp(np.sin(x)) * np.cos(x)


def curvature(x):
    return np.exp(np.sin(x)) * (np.cos(x) ** 2 - np.sin(x))


X = np.array([0.3, -1.0, 2.0])


def test_the_taylor_test_finds_orders_one_two_three():
    test = taylor_test(value, X, rng(), gradient(X), lambda v: curvature(X) * v)
    assert test.passed
    assert test.orders == pytest.approx([1, 2, 3], abs=0.1)
    assert str(test).splitlines()[-1].endswith("passed")


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0, 1.01, 1 + 1e-3, 1 + 1e-5, 1 - 1e-5])
def test_the_taylor_test_rejects_wrong_gradients(factor):
    test = taylor_test(value, X, rng(), factor * gradient(X))
    assert not test.passed
    assert "FAILED" in str(test)


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.1, 1 + 1e-3])
def test_the_taylor_test_rejects_wrong_hessians(factor):
    assert not taylor_test(value, X, rng(), gradient(X), lambda v: factor * curvature(X) * v).passed


def test_the_taylor_test_rejects_nan():
    assert not taylor_test(lambda x: float("nan"), X, rng(), gradient(X)).passed
    assert not taylor_test(value, X, rng(), np.nan * gradient(X)).passed


def test_the_taylor_test_of_arrays_takes_a_jacobian_product():
    B = np.random.default_rng(3).normal(size=(4, 3))
    slope = 1 - np.tanh(B @ X) ** 2
    assert taylor_test(lambda x: np.tanh(B @ x), X, rng(), lambda v: slope * (B @ v)).passed
    assert not taylor_test(lambda x: np.tanh(B @ x), X, rng(), lambda v: B @ v).passed


def test_the_taylor_test_of_a_linear_and_a_quadratic_function():
    assert taylor_test(lambda x: float(X @ x), X, rng(), X).passed
    assert not taylor_test(lambda x: float(X @ x), X, rng(), 1.001 * X).passed
    assert taylor_test(lambda x: float(x @ x), X, rng(), 2 * X, lambda v: 2 * v).passed
    assert not taylor_test(lambda x: float(x @ x), X, rng(), 2 * X, lambda v: 2.01 * v).passed


def test_the_taylor_test_needs_two_steps_to_see_an_order():
    assert not taylor_test(value, X, rng(), gradient(X), steps=1).passed
    assert taylor_test(lambda x: 1.0, X, rng(), 0 * X).passed


def test_the_taylor_test_in_single_precision():
    x = X.astype("float32")

    def single(x):
        return np.sum(np.exp(np.sin(x)))

    assert taylor_test(single, x, rng(), gradient(x)).passed
    assert not taylor_test(single, x, rng(), 1.1 * gradient(x)).passed


@pytest.mark.parametrize("factor", [-1.0, 1.01, 1 + 1e-9, 1 + 1e-12, float("nan")])
def test_the_complex_step_rejects_wrong_gradients(factor):
    def f(x):
        return np.sum(np.exp(np.sin(x)))

    assert complex_step_test(f, X, rng(), gradient(X)).passed
    test = complex_step_test(f, X, rng(), factor * gradient(X))
    assert not test.passed
    assert "FAILED: this is not the derivative" in str(test)


def test_the_complex_step_refuses_functions_that_drop_the_imaginary_part():
    with pytest.raises(RefmgError, match="found real values for complex arguments"):
        complex_step_test(lambda x: np.sum(np.abs(x)), X, rng(), np.sign(X))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_order_test_accepts_the_order_and_no_other(order):
    def solve(N):
        return np.array([1.0, 2.0]) * (1 + N**-order + N ** -(order + 1.0))

    assert order_test(solve, [1.0, 2.0], order).passed
    assert not order_test(solve, [1.0, 2.0], order + 1).passed
    assert not order_test(solve, [1.0, 2.0], order - 1).passed
    assert not order_test(solve, [1.0, 2.0], order - 0.2).passed


def test_the_order_test_uses_no_errors_that_are_rounding():
    test = order_test(lambda N: 1 + N**-4.0, 1.0, 4, steps=(10, 100, 1000, 10_000))
    assert test.passed
    assert "FAILED" in str(order_test(lambda N: 1.0, 1.0, 4))


def test_observed_orders_of_any_step_ratio():
    assert observed_orders([3, 9, 10], [1.0, 1 / 27, 0.027]) == pytest.approx([3, 3])


def test_results_pass_at_their_bound_and_not_beyond():
    assert ComplexStepTest(1e-15, 1e-15).passed
    assert not ComplexStepTest(2e-15, 1e-15).passed
    assert not ComplexStepTest(float("nan"), 1.0).passed
    # Each trial: both products and their relative difference; the largest counts.
    assert DotTest([(1.0, 1.0, 0.0)], 0.0).passed
    assert not DotTest([(1.0, 1.0, 0.0), (1.0, 1.5, 0.5)], 0.1).passed
    assert DotTest([(1.0, 1.5, 0.5), (1.0, 1.0, 0.0)], 0.1).error == 0.5
    halved = OrderTest([8, 16, 32], [1.0, 0.5, 0.25], 1, 0.1, 0.0)
    assert halved.passed
    assert halved.order == pytest.approx(1)
    assert not OrderTest([8, 16, 32], [1.0, 0.5, 0.25], 2, 0.1, 0.0).passed
    steps = [0.1, 0.05, 0.025]
    first, second = [0.1, 0.05, 0.025], [0.01, 0.0025, 0.000625]
    assert TaylorTest(steps, [first, second], 0.0, 0.1).passed
    assert not TaylorTest(steps, [first, first], 0.0, 0.1).passed
    for result in (halved, TaylorTest(steps, [first, second], 0.0, 0.1), ComplexStepTest(0.0, 1.0)):
        assert "passed" in str(result)
