"""Features averaged to a coarser grid, whether or not its cells divide the finer one's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refmg.transfer import Shape
from refmg_backends import Backend
from refmg_backends.backend import Array


def mean_matrix(fine: int, coarse: int) -> NDArray[np.float64]:
    """Return the matrix of means of one axis: each coarse cell of the fine cells that it overlaps.

    Parameters
    ----------
    fine, coarse : int
        Cells; where `coarse` divides `fine` these are means over blocks, the design's R, else those of
        PyTorch's adaptive average pooling.

    Examples
    --------
    >>> mean_matrix(4, 2)
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    >>> mean_matrix(3, 2)
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    matrix = np.zeros((coarse, fine))
    for i in range(coarse):
        first, last = i * fine // coarse, -(-(i + 1) * fine // coarse)
        matrix[i, first:last] = 1 / (last - first)
    return matrix


class GridMeans:
    """Takes features from one grid to the means on a coarser one.

    Parameters
    ----------
    backend : Backend
    fine, coarse : tuple of int
        Two axes.
    dtype : str
        Of the features.

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> means = GridMeans(get_backend("numpy"), (2, 2), (1, 1), "float64")
    >>> means.apply(np.arange(4.0).reshape(1, 4, 1)).item()
    1.5
    """

    def __init__(self, backend: Backend, fine: Shape, coarse: Shape, dtype: str) -> None:
        self.xp, self.fine, self.coarse = backend.xp, fine, coarse
        pairs = zip(fine, coarse, strict=True)
        self.matrices = [backend.asarray(mean_matrix(*pair), dtype=dtype) for pair in pairs]

    @property
    def block(self) -> int | None:
        """Fine cells of each coarse one; None where they differ."""
        (n, N), (k, K) = self.fine, self.coarse
        return n * N // (k * K) if not n % k and not N % K else None

    def apply(self, Y: Array) -> Array:
        """Return the means of features ``(C, cells, m)``."""
        if self.fine == self.coarse:
            return Y
        c, _, m = Y.shape
        rows = self.matrices[0] @ self.xp.reshape(Y, (c, self.fine[0], self.fine[1] * m))
        columns = self.matrices[1] @ self.xp.reshape(rows, (c * self.coarse[0], self.fine[1], m))
        return self.xp.reshape(columns, (c, self.coarse[0] * self.coarse[1], m))
