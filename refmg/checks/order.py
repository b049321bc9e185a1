"""The order test, which measures how fast the error of a scheme falls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class OrderTest:
    """What :func:`order_test` found.

    Attributes
    ----------
    steps : list of int
        Numbers of steps.
    errors : list of float
        Relative errors, in the Euclidean norm.
    expected, tolerance : float
        The order that is claimed, and by how much the observed one may differ.
    floor : float
        Errors up to this are rounding.
    """

    steps: list[int]
    errors: list[float]
    expected: float
    tolerance: float
    floor: float

    @property
    def orders(self) -> list[float]:
        """Observed order between neighbours."""
        return observed_orders(self.steps, self.errors)

    @property
    def order(self) -> float:
        """Observed order of the finest pair above rounding; NaN if there is none."""
        usable = [p for p, error in zip(self.orders, self.errors[1:], strict=True) if error > self.floor]
        return usable[-1] if usable else float("nan")

    @property
    def passed(self) -> bool:
        """Whether the observed order is the expected one."""
        return abs(self.order - self.expected) <= self.tolerance

    def __str__(self) -> str:
        lines = [" steps       error     order"]
        for n, error, p in zip(self.steps, self.errors, [None, *self.orders], strict=True):
            lines.append(f"{n:6d}  {error:10.3e}  {'' if p is None else f'{p:8.3f}'}".rstrip())
        verdict = "passed" if self.passed else "FAILED"
        found = f"observed {self.order:.3f}, expected {self.expected:g} within {self.tolerance:g}"
        return "\n".join([*lines, f"{found}: {verdict}"])


def observed_orders(steps: Sequence[int], errors: Sequence[float]) -> list[float]:
    """Return ``log(e_k / e_{k+1}) / log(N_{k+1} / N_k)`` for neighbours.

    Examples
    --------
    >>> observed_orders([1, 2, 4], [1.0, 0.25, 0.0625])
    [2.0, 2.0]
    """
    pairs = zip(steps, steps[1:], errors, errors[1:], strict=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return [float(np.log(np.divide(e, f)) / np.log(m / n)) for n, m, e, f in pairs]


def order_test(
    solve: Callable[[int], ArrayLike],
    reference: ArrayLike,
    expected: float,
    steps: Sequence[int] = (8, 16, 32, 64, 128),
    tolerance: float = 0.1,
) -> OrderTest:
    """Measure the observed order of a scheme against a reference solution.

    Parameters
    ----------
    solve : callable
        From the number of steps to the solution at the final time.
    reference : array_like
        The exact solution, or one that is far better than the finest of `solve`.
    expected : float
        The order that is claimed.
    steps : sequence of int
        Increasing numbers of steps.
    tolerance : float
        By how much the observed order may differ, in either direction.

    Returns
    -------
    OrderTest

    Notes
    -----
    Errors below ``100 eps`` of the reference are rounding and are not used.

    Examples
    --------
    >>> test = order_test(lambda N: (1 + 1 / N) ** N, np.e, expected=1)
    >>> print(test)
     steps       error     order
         8   5.610e-02
        16   2.956e-02     0.924
        32   1.519e-02     0.961
        64   7.702e-03     0.980
       128   3.878e-03     0.990
    observed 0.990, expected 1 within 0.1: passed
    """
    exact = _flat(reference)
    size = float(np.linalg.norm(exact)) or 1.0
    errors = [float(np.linalg.norm(_flat(solve(N)) - exact)) / size for N in steps]
    floor = 100 * float(np.finfo(float).eps)
    return OrderTest(list(steps), errors, expected, tolerance, floor)


def _flat(x: Any) -> NDArray[np.float64]:
    return np.ravel(np.asarray(x, dtype=float))
