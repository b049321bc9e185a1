"""The map of stencils of a restriction and a prolongation that are given as matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refmg.galerkin import check_galerkin
from refmg.stencil import check_width, move_taps, per_axis
from refmg.stencil_map import ClosureError
from refmg.transfer import Shape


class MatrixMap:
    """The map of stencils that makes ``K(s_H) = R K(s_h) P`` for explicit R and P on one pair of grids.

    Parameters
    ----------
    P, R : sparse or dense array, shapes (N_h, N_H) and (N_H, N_h)
        On one channel, periodic.
    width : int or tuple of int
        Taps per axis, odd.
    shape : tuple of int
        Cells of the fine grid.
    coarse : tuple of int, optional
        Cells of the coarse grid, see :func:`check_galerkin`.

    Attributes
    ----------
    matrix : ndarray, shape (n_K, n_K)
        Its columns are the coarse stencils of the unit stencils.

    Raises
    ------
    ClosureError
        If ``R K P`` is not a convolution of this width for every stencil.
    RefmgError
        If sizes do not fit or a width is even.

    Examples
    --------
    >>> from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
    >>> P, R = prolongation_matrix((8,)), restriction_matrix((8,))
    >>> MatrixMap(P, R, width=3, shape=(8,)).matrix
    array([[0.5  , 0.125, 0.   ],
           [0.5  , 0.75 , 0.5  ],
           [0.   , 0.125, 0.5  ]])
    """

    def __init__(self, P: Any, R: Any, width: int | Shape, shape: Shape, coarse: Shape | None = None) -> None:
        self.width = check_width(per_axis("width", width, len(shape)))
        size = int(np.prod(self.width))
        columns = []
        for unit in np.eye(size, dtype=np.int64).reshape(size, *self.width):
            report = check_galerkin(P, R, unit, shape, coarse)
            if not report:
                needed = "is no convolution" if report.width is None else f"needs width {report.width}"
                raise ClosureError(
                    f"these R and P do not close at width {self.width}: R K P {needed}; take another pair, "
                    "or a stencil padded with zeros to a wider one"
                )
            columns.append(report.stencil.ravel())
        self.matrix = np.array(columns, dtype=np.float64).T

    def restrict(self, stencil: ArrayLike) -> NDArray[np.floating]:
        """Return the coarse stencil ``s_H``, shaped as the fine one."""
        return move_taps(self.matrix, stencil, self.width)

    def prolong(self, stencil: ArrayLike) -> NDArray[np.floating]:
        """Return the fine stencil ``s_h``, shaped as the coarse one.

        Raises
        ------
        ClosureError
            If the map is singular, to rounding.
        """
        rank = np.linalg.matrix_rank(self.matrix)
        if rank < len(self.matrix):
            raise ClosureError(
                f"the fine stencil is not unique: these R and P map stencils of width {self.width} with rank "
                f"{rank} of {len(self.matrix)}; take another pair or a narrower stencil"
            )
        return move_taps(np.linalg.inv(self.matrix), stencil, self.width)
