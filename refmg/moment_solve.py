"""The pseudoinverse of a matrix of second moments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pseudoinverse(A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the pseudoinverse of a symmetric non-negative matrix.

    Eigenvalues below n eps times the largest are rounding, and count as 0: combinations of taps that no
    image excites.

    Examples
    --------
    >>> pseudoinverse(np.array([[1.0, 1.0], [1.0, 1.0]])).round(12)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    return np.asarray(np.linalg.pinv(A, rcond=len(A) * np.finfo(float).eps, hermitian=True))
