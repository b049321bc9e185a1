"""Arithmetic with the same bits on every machine."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache, reduce
from math import ceil, floor, fsum, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_validation.conformance.build import Floats

# Whose exponential and logarithm are rounded correctly, to so many decimal digits.
DIGITS = Context(prec=40)
ONE = Decimal(1)
Rational = NDArray[np.object_]


def product(*factors: Floats) -> Floats:
    """Return a product of matrices, or of matrices and a vector at the end, every sum from first to last.

    Examples
    --------
    >>> product(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0]))
    array([-1., -1.])
    """
    return reduce(_times, reversed(factors))


def _times(right: Floats, left: Floats) -> Floats:
    vector = right.ndim == 1
    B = right[:, None] if vector else right
    total = np.zeros((left.shape[0], B.shape[1]), dtype=np.result_type(left, B))
    for k in range(left.shape[1]):
        total = total + left[:, k, None] * B[None, k, :]
    return total[:, 0] if vector else total


def dot(a: Floats, b: Floats) -> float:
    """Return the sum of the products of all entries, rounded once."""
    return fsum((np.ravel(a) * np.ravel(b)).tolist())


def solve(A: Any, B: Any) -> Floats:
    """Return ``A^-1 B``, by elimination in fractions; rounded once.

    Examples
    --------
    >>> solve([[2, 1], [1, 3]], [[3.0], [4.0]]).ravel()
    array([1., 1.])
    """
    rows = [[Fraction(x) for x in (*a, *b)] for a, b in zip(_list(A), _list(B), strict=True)]
    n = len(rows)
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k and (factor := rows[i][k]):
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    return floats([row[n:] for row in rows])


def _list(A: Any) -> list[list[Any]]:
    return A.tolist() if isinstance(A, np.ndarray) else A


def floats(numbers: Any) -> Floats:
    """Return fractions as the nearest floats."""
    return np.array(numbers, dtype=object).astype(np.float64)


def condition(A: Floats, dropped: int = 0) -> float:
    """Return the condition number in the 2-norm, rounded up to three digits.

    Parameters
    ----------
    A : ndarray
        The matrix.
    dropped : int
        So many of its smallest singular values are zeros that do not count.

    Notes
    -----
    The singular values are LAPACK's. What is within 1e-6 of three digits is taken for them, so that rounding
    up depends on no last bit.

    Examples
    --------
    >>> condition(np.diag([4.0, 1.0])), condition(np.diag([1.0, 3.0]))
    (4.0, 3.0)
    >>> condition(np.diag([10.0, 3.0]))
    3.34
    """
    values = np.linalg.svd(A, compute_uv=False)
    exact = float(values[0] / values[len(values) - 1 - dropped])
    digits = 2 - floor(log10(exact * (1 + 1e-6)))
    return ceil(exact * (1 - 1e-6) * 10**digits) / 10**digits


def _elementwise(function: Callable[[Decimal], Decimal]) -> Callable[[Floats], Floats]:
    once = cache(lambda x: float(function(Decimal(x))))
    return lambda x: np.array([once(v) for v in np.ravel(x).tolist()]).reshape(np.shape(x))


def _sigmoid(x: Decimal) -> Decimal:
    return DIGITS.divide(ONE, DIGITS.add(ONE, DIGITS.exp(DIGITS.minus(x))))


def _tanh(x: Decimal) -> Decimal:
    # 2 / (1 + exp(-2 x)) - 1 loses no more digits than x is small: forty are plenty.
    return DIGITS.subtract(DIGITS.multiply(2, _sigmoid(DIGITS.multiply(2, x))), ONE)


def _softplus(x: Decimal) -> Decimal:
    return DIGITS.ln(DIGITS.add(ONE, DIGITS.exp(x)))


sigmoid = _elementwise(_sigmoid)
tanh = _elementwise(_tanh)
softplus = _elementwise(_softplus)


def softmax(z: Floats) -> tuple[Floats, float]:
    """Return the probabilities of logits, and the logarithm of the sum of exponentials.

    Examples
    --------
    >>> softmax(np.zeros(2))
    (array([0.5, 0.5]), 0.6931471805599453)
    """
    powers = [DIGITS.exp(Decimal(v)) for v in z.tolist()]
    total = reduce(DIGITS.add, powers)
    return np.array([float(DIGITS.divide(p, total)) for p in powers]), float(DIGITS.ln(total))


@cache
def cosines(n: int) -> tuple[float, ...]:
    """Return ``cos(2 pi k / n)``, k = 0, .., n - 1, for n a power of two, by halving the angle.

    Examples
    --------
    >>> cosines(4)
    (1.0, 0.0, -1.0, 0.0)
    """
    c = {0: Decimal(1), n // 2: Decimal(-1)}
    step = n // 2
    while step > 1:
        step //= 2
        for k in range(step, n // 2, 2 * step):
            c[k] = _half_angle(c[2 * k] if 2 * k <= n // 2 else c[n - 2 * k], k > n // 4)
    return tuple(float(c[min(k, n - k)]) for k in range(n))


def _half_angle(cosine: Decimal, negative: bool) -> Decimal:
    root = DIGITS.sqrt(DIGITS.divide(DIGITS.add(ONE, cosine), 2))
    return DIGITS.minus(root) if negative else root
