"""The Taylor test, which tells whether gradient and Hessian belong to a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[Any]


@dataclass(frozen=True)
class TaylorTest:
    """What :func:`taylor_test` found.

    Attributes
    ----------
    steps : list of float
        Step lengths.
    remainders : list of list of float
        For each number of Taylor terms (value, gradient, Hessian), the remainder at each step.
    floor : float
        Remainders up to this are rounding.
    tolerance : float
        By how much an order may be too low.
    """

    steps: list[float]
    remainders: list[list[float]]
    floor: float
    tolerance: float

    @property
    def orders(self) -> list[float]:
        """The observed order of each remainder, on the smallest steps above rounding; inf if none is."""
        return [self._order(rows) for rows in self.remainders]

    def _order(self, rows: list[float]) -> float:
        if not np.isfinite(rows).all():
            return float("nan")
        usable = [k for k, error in enumerate(rows) if error > self.floor]
        if len(usable) < 2:
            # Rounding from the start or after the first step; a single step tells nothing.
            return float("inf") if usable in ([], [0]) and len(rows) > 1 else float("nan")
        # A wrong derivative shows at small steps, where its linear error is what is left.
        a, b = usable[-2:]
        return float(np.log(rows[a] / rows[b]) / np.log(self.steps[a] / self.steps[b]))

    @property
    def passed(self) -> bool:
        """Whether remainder p falls with order p + 1, or is rounding."""
        return all(order >= p - self.tolerance for p, order in enumerate(self.orders, start=1))

    def __str__(self) -> str:
        names = ["value", "gradient", "Hessian"][: len(self.remainders)]
        lines = ["      step  " + "".join(f"{name:>12s}" for name in names)]
        for k, t in enumerate(self.steps):
            lines.append(f"{t:10.1e}  " + "".join(f"{rows[k]:12.2e}" for rows in self.remainders))
        lines.append("   order    " + "".join(f"{order:12.2f}" for order in self.orders))
        expected = ", ".join(str(p) for p in range(1, len(names) + 1))
        verdict = "passed" if self.passed else "FAILED"
        return "\n".join([*lines, f"expected {expected}; rounding below {self.floor:.1e}: {verdict}"])


def taylor_test(
    value: Callable[[Vector], Any],
    x: Vector,
    rng: np.random.Generator,
    gradient: Callable[[Vector], Any] | Vector | None = None,
    hessian: Callable[[Vector], Vector] | None = None,
    first_step: float = 1e-1,
    steps: int = 10,
    factor: float = 4.0,
    tolerance: float = 0.1,
) -> TaylorTest:
    r"""Measure how Taylor remainders fall along a random direction of norm 1.

    Parameters
    ----------
    value : callable
        The function, from a vector to a number or to an array.
    x : ndarray, shape (n,)
        Where.
    rng : numpy.random.Generator
        Draws the direction.
    gradient : callable or ndarray, optional
        From a direction v to the derivative along v (for arrays, ``J v``), or the gradient of a number.
    hessian : callable, optional
        From a direction v to ``H v``; for numbers only.
    first_step, steps, factor
        The steps are ``first_step * |x|``, divided by `factor` each time (``|x|`` or 1, the larger).
    tolerance : float
        By how much an observed order may be too low.

    Returns
    -------
    TaylorTest

    Notes
    -----
    With the value alone the remainder is of order 1, with the gradient 2, with the Hessian 3. Values
    are known to about ``eps |f|``; remainders below ``100 eps`` times the largest term are taken as
    rounding. A relative error of the gradient is seen where it outweighs the curvature above that floor:
    down to about ``sqrt(100 eps)``, 1e-7 in double precision. For less take the complex step.

    Examples
    --------
    >>> x = np.array([1.0, 2.0])
    >>> cube = lambda x: float(np.sum(x**3))
    >>> test = taylor_test(cube, x, np.random.default_rng(1), 3 * x**2, lambda v: 6 * x * v)
    >>> [round(order) for order in test.orders], test.passed
    ([1, 2, 3], True)
    >>> taylor_test(cube, x, np.random.default_rng(1), 3.001 * x**2).passed
    False
    """
    v = rng.normal(size=x.shape).astype(x.dtype)
    v /= np.linalg.norm(v)
    start, along, curved = value(x), _along(gradient, v), None if hessian is None else float(v @ hessian(v))
    lengths = [first_step * max(1.0, float(np.linalg.norm(x))) / factor**k for k in range(steps)]
    rows: list[list[float]] = [[] for _ in range(1 + (gradient is not None) + (hessian is not None))]
    size = _norm(start)
    for t in lengths:
        moved = value(x + np.asarray(t, dtype=x.dtype) * v)
        size = max(size, _norm(moved))
        remainder = np.asarray(moved, dtype=float) - np.asarray(start, dtype=float)
        rows[0].append(_norm(remainder))
        if gradient is not None:
            rows[1].append(_norm(remainder - t * along))
        if curved is not None:
            rows[-1].append(_norm(remainder - t * along - 0.5 * t**2 * curved))
    return TaylorTest(lengths, rows, 100 * float(np.finfo(x.dtype).eps) * size, tolerance)


def _along(gradient: Any, v: Vector) -> Any:
    if gradient is None:
        return 0.0
    return np.asarray(gradient(v) if callable(gradient) else np.vdot(gradient, v), dtype=float)


def _norm(x: Any) -> float:
    return float(np.linalg.norm(np.ravel(np.asarray(x, dtype=float))))
