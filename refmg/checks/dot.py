"""The dot test, which tells whether one function is the adjoint of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import aslinearoperator

Vector = NDArray[Any]


@dataclass(frozen=True)
class DotTest:
    """What :func:`dot_test` found.

    Attributes
    ----------
    trials : list of tuple
        ``<A x, y>``, ``<x, A^T y>`` and their relative difference, one a trial.
    bound : float
        Largest difference that rounding explains.
    """

    trials: list[tuple[float, float, float]]
    bound: float

    @property
    def error(self) -> float:
        """The largest relative difference; NaN if any is."""
        return float(np.max([trial[2] for trial in self.trials]))

    @property
    def passed(self) -> bool:
        """Whether rounding explains every difference."""
        return bool(self.error <= self.bound)

    def __str__(self) -> str:
        rows = [
            f"<A x, y> = {a: .15e}   <x, A^T y> = {b: .15e}   difference {e:.1e}" for a, b, e in self.trials
        ]
        verdict = "passed" if self.passed else "FAILED: this is not the adjoint"
        return "\n".join([*rows, f"largest {self.error:.1e}, bound {self.bound:.1e}: {verdict}"])


def dot_test(
    forward: Callable[[Vector], Vector],
    adjoint: Callable[[Vector], Vector],
    sizes: tuple[int, int],
    rng: np.random.Generator,
    bound: float | None = None,
    dtype: str = "float64",
    trials: int = 3,
) -> DotTest:
    r"""Compare ``<A x, y>`` with ``<x, A^T y>`` for random x and y.

    Parameters
    ----------
    forward, adjoint : callable
        ``A x`` and ``A^T y``, from vector to vector.
    sizes : tuple of int
        Sizes of x and of y.
    rng : numpy.random.Generator
        Draws x and y.
    bound : float, optional
        On the relative difference.
    dtype : str
        Precision of x and y.
    trials : int
        How many pairs.

    Returns
    -------
    DotTest

    Notes
    -----
    The difference is relative to :math:`\|Ax\| \|y\|` or :math:`\|x\| \|A^T y\|`, the larger: the inner
    products themselves may cancel. Each is a sum of n products, wrong by at most ``n eps`` of that
    (Higham, Accuracy and stability, section 3.1), and typically ``sqrt(n) eps``; A itself and its
    adjoint round as well. The default bound is ``16 sqrt(n) eps``.

    Examples
    --------
    >>> A = np.array([[1.0, 2.0], [0.0, 3.0]])
    >>> dot_test(lambda x: A @ x, lambda y: A.T @ y, (2, 2), np.random.default_rng(5)).passed
    True
    >>> dot_test(lambda x: A @ x, lambda y: A @ y, (2, 2), np.random.default_rng(5)).passed
    False
    """
    found = []
    for _ in range(trials):
        x, y = (rng.normal(size=size).astype(dtype) for size in sizes)
        Ax, ATy = forward(x), adjoint(y)
        # In double precision, so that the inner products add no error of their own in single.
        left, right = (float(np.dot(a.astype(float), b.astype(float))) for a, b in ((Ax, y), (x, ATy)))
        scale = max(_norm(Ax) * _norm(y), _norm(x) * _norm(ATy))
        found.append((left, right, abs(left - right) / scale if scale else abs(left - right)))
    eps = float(np.finfo(dtype).eps)
    return DotTest(found, 16 * float(np.sqrt(max(sizes))) * eps if bound is None else bound)


def dot_test_operator(A: Any, rng: np.random.Generator, **options: Any) -> DotTest:
    """Run :func:`dot_test` on a matrix or a ``LinearOperator``.

    Parameters
    ----------
    A : array, sparse array or LinearOperator
        With ``matvec`` and ``rmatvec``.
    rng : numpy.random.Generator
        Draws the vectors.
    **options
        As for :func:`dot_test`.

    Examples
    --------
    >>> print(dot_test_operator(np.eye(2), np.random.default_rng(3), trials=1))  # doctest: +ELLIPSIS
    <A x, y> = ...difference 0.0e+00
    largest 0.0e+00, bound 5.0e-15: passed
    """
    operator = aslinearoperator(A)
    sizes = (operator.shape[1], operator.shape[0])
    return dot_test(operator.matvec, operator.rmatvec, sizes, rng, **options)


def _norm(x: Vector) -> float:
    return float(np.linalg.norm(x.astype(float)))
