"""Derivative checks: each returns an object that prints as a table and knows whether it passed."""

from refmg.checks.complex_step import ComplexStepTest, complex_step_test
from refmg.checks.dot import DotTest, dot_test, dot_test_operator
from refmg.checks.order import OrderTest, observed_orders, order_test
from refmg.checks.taylor import TaylorTest, taylor_test

__all__ = [
    "ComplexStepTest",
    "DotTest",
    "OrderTest",
    "TaylorTest",
    "complex_step_test",
    "dot_test",
    "dot_test_operator",
    "observed_orders",
    "order_test",
    "taylor_test",
]
