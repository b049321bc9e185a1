"""Small matrices of fractions: exact inverse and rank by Gaussian elimination."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends import RefmgError

RationalMatrix = NDArray[np.object_]


def inverse(A: RationalMatrix) -> RationalMatrix:
    """Return the exact inverse of a small rational matrix.

    Parameters
    ----------
    A : ndarray of Fraction, shape (n, n)
        Regular.

    Returns
    -------
    ndarray of Fraction, shape (n, n)

    Raises
    ------
    RefmgError
        If the matrix is singular.

    Examples
    --------
    >>> A = np.array([[Fraction(1, 2), Fraction(1, 8)], [Fraction(0), Fraction(1, 2)]])
    >>> [[str(a) for a in row] for row in inverse(A)]
    [['2', '-1/2'], ['0', '2']]
    """
    n = len(A)
    reduced, pivots = _reduce(np.hstack([A, identity(n)]), n)
    if len(pivots) < n:
        raise RefmgError(f"found a singular matrix of rank {len(pivots)}; expected rank {n}")
    return reduced[:, n:]


def rank(A: RationalMatrix) -> int:
    """Return the exact rank of a rational matrix.

    Examples
    --------
    >>> rank(np.array([[Fraction(1), Fraction(2)], [Fraction(2), Fraction(4)]]))
    1
    """
    return len(_reduce(A, A.shape[1])[1])


def null_space(A: RationalMatrix) -> RationalMatrix:
    """Return columns that span the vectors with ``A v = 0``, each with one entry 1 at a free place.

    Examples
    --------
    >>> v = null_space(np.array([[Fraction(1), Fraction(2)], [Fraction(2), Fraction(4)]]))
    >>> [[str(a) for a in row] for row in v]
    [['-2'], ['1']]
    """
    reduced, pivots = _reduce(A, A.shape[1])
    free = [j for j in range(A.shape[1]) if j not in pivots]
    V = identity(A.shape[1])[:, free]
    for row, pivot in enumerate(pivots):
        V[pivot] = [-reduced[row, j] for j in free]
    return V


def identity(n: int) -> RationalMatrix:
    """Return the identity with entries of type Fraction."""
    return np.array([[Fraction(int(i == j)) for j in range(n)] for i in range(n)], dtype=object)


def to_float(A: RationalMatrix) -> NDArray[np.float64]:
    """Return a rational array in float64, each entry rounded once."""
    return A.astype(np.float64)


def _reduce(A: RationalMatrix, columns: int) -> tuple[RationalMatrix, list[int]]:
    """Return the reduced row echelon form in the leading columns, and its pivot columns."""
    B: Any = A.copy()
    pivots: list[int] = []
    for column in range(columns):
        below = [i for i in range(len(pivots), len(B)) if B[i, column] != 0]
        if not below:
            continue
        row = len(pivots)
        B[[row, below[0]]] = B[[below[0], row]]
        B[row] = B[row] / B[row, column]
        for i in range(len(B)):
            if i != row and B[i, column] != 0:
                B[i] = B[i] - B[i, column] * B[row]
        pivots.append(column)
    return B, pivots
