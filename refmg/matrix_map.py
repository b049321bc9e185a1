"""The map of stencils of a restriction and a prolongation that are given as matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from refmg.convolution import convolution_matrix
from refmg.galerkin import check_coarse_grid, check_galerkin, coarse_grid, rounding_bound
from refmg.stencil import check_width, move_taps, of_width, per_axis
from refmg.stencil_map import CLOSURES, ClosureError
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of


class MatrixMap:
    """The map of stencils that makes ``K(s_H) = R K(s_h) P`` for explicit R and P on one pair of grids.

    Parameters
    ----------
    P : sparse or dense array, shape (N_h, N_H)
        On one channel, periodic.
    R : sparse or dense array, shape (N_H / strides, N_h / strides)
        Acts on the outputs of the convolution, which lie on fewer cells where it has a stride.
    width : int or tuple of int
        Taps per axis, odd.
    shape : tuple of int
        Cells of the fine grid.
    coarse : tuple of int, optional
        Cells of the coarse grid, see :func:`check_galerkin`.
    closure : {"exact", "least-squares"}
        ``"exact"`` refuses matrices for which ``R K P`` is not a convolution of this width.
        ``"least-squares"`` takes the stencil whose ``K(s_H)`` is nearest to it in the Frobenius norm.
    stride : int or tuple of int
        Of the convolution, which keeps it.

    Attributes
    ----------
    matrix : ndarray, shape (n_K, n_K)
        Its columns are the coarse stencils of the unit stencils.
    closes : bool
        Whether ``R K P`` is a convolution of this width for every stencil, up to rounding.

    Raises
    ------
    ClosureError
        If it is not, and `closure` is ``"exact"``.
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
    >>> P = prolongation_matrix((12,))
    >>> nearest = MatrixMap(P, P.T / 2, width=3, shape=(12,), closure="least-squares")
    >>> s_H = nearest.restrict([1.0, 0.0, -1.0])
    >>> print(s_H, f"{nearest.residual([1.0, 0.0, -1.0], s_H):.4f}")
    [ 0.4375  0.     -0.4375] 0.0442
    """

    def __init__(
        self,
        P: Any,
        R: Any,
        width: int | Shape,
        shape: Shape,
        coarse: Shape | None = None,
        *,
        closure: str = "exact",
        stride: int | Shape = 1,
    ) -> None:
        if closure not in CLOSURES:
            raise RefmgError(one_of("closure", closure, CLOSURES))
        self.closure, d = closure, len(shape)
        self.width, self.stride = check_width(per_axis("width", width, d)), per_axis("stride", stride, d)
        P, R = sparse.csr_array(P), sparse.csr_array(R)
        target = coarse or coarse_grid(P.shape[::-1], shape)
        self.outputs = _check(P, R, shape, target, self.width, self.stride)
        self._products, self._units, bound = _columns(P, R, shape, target, self.width, self.stride)
        # Each unit has ones where the others have zeros: one row tells its tap, all rows the nearest one.
        self.matrix = self._products[self._units.argmax(axis=0)].astype(np.float64)
        self.closes = bool(np.abs(self._products - self._units @ self.matrix).max() <= bound)
        if not self.closes and closure == "exact":
            raise ClosureError(self._refusal(P, R, shape, target))
        if not self.closes:
            self.matrix = self._units.T @ self._products / self.outputs

    def _refusal(self, P: Any, R: Any, shape: Shape, coarse: Shape) -> str:
        needed = "is no convolution of this width for every stencil"
        if set(self.stride) == {1}:
            units = np.eye(len(self.matrix), dtype=np.int64).reshape(-1, *self.width)
            found = [check_galerkin(P, R, unit, shape, coarse) for unit in units]
            widths = [report.width for report in found if not report]
            needed = "is no convolution" if None in widths else f"needs width {widths[0]}"
        return (
            f"these R and P do not close at width {self.width}: R K P {needed}; take another pair, a stencil "
            "padded with zeros to a wider one, or closure='least-squares'"
        )

    @property
    def rank(self) -> int:
        """Rank of the map, to rounding."""
        return int(np.linalg.matrix_rank(self.matrix))

    @property
    def condition_number(self) -> float:
        """Condition number of the map in the 2-norm; infinite where it is singular."""
        return float(np.linalg.cond(self.matrix)) if self.rank == len(self.matrix) else float("inf")

    def restrict(self, stencil: ArrayLike) -> NDArray[np.floating]:
        """Return the coarse stencil ``s_H``, shaped as the fine one."""
        return move_taps(self.matrix, stencil, self.width)

    def prolong(self, stencil: ArrayLike, method: str | None = None) -> NDArray[np.floating]:
        """Return the fine stencil ``s_h``, shaped as the coarse one.

        Parameters
        ----------
        stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
            Coarse stencil.
        method : {"exact", "least-squares"}, optional
            ``"least-squares"`` takes the smallest of the best fits where there is no unique solution;
            :meth:`residual` says how good it is. By default the map's `closure`.

        Raises
        ------
        ClosureError
            If the map is singular, to rounding.
        """
        if method not in (None, *CLOSURES):
            raise RefmgError(one_of("method", str(method), CLOSURES))
        unique = self.closes and self.rank == len(self.matrix)
        if not unique and (method or self.closure) == "least-squares":
            return move_taps(np.linalg.pinv(self._products) @ self._units, stencil, self.width)
        if not unique:
            raise ClosureError(
                f"the fine stencil is not unique: these R and P map stencils of width {self.width} with rank "
                f"{self.rank} of {len(self.matrix)}; take another pair, a narrower stencil, or "
                "method='least-squares' for the smallest of the best fits"
            )
        return move_taps(np.linalg.inv(self.matrix), stencil, self.width)

    def residual(self, fine: ArrayLike, coarse: ArrayLike) -> float:
        """Return ``||K(s_H) - R K(s_h) P||``, Frobenius norm by the square root of its rows a channel.

        Parameters
        ----------
        fine, coarse : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
            ``s_h`` and ``s_H``.
        """
        return float(np.linalg.norm(self.mismatch(fine, coarse)))

    def mismatch(self, fine: ArrayLike, coarse: ArrayLike) -> NDArray[np.float64]:
        """Return what :meth:`residual` is the norm of, linear in both stencils."""
        taps = [of_width(s, self.width).reshape(-1, len(self.matrix)).T for s in (fine, coarse)]
        gap = self._products @ taps[0] - self._units @ taps[1]
        return np.asarray(gap / np.sqrt(self.outputs), np.float64)


def _check(P: Any, R: Any, shape: Shape, coarse: Shape, width: Shape, stride: Shape) -> int:
    """Return the number of coarse outputs, having seen that everything fits."""
    check_coarse_grid(coarse, width)
    for grid in (shape, coarse):
        if any(n % t for n, t in zip(grid, stride, strict=True)):
            raise RefmgError(f"found a grid of {grid} cells and stride {stride}; expected a divisor of it")
    fewer = int(np.prod(stride))
    cells, coarse_cells = int(np.prod(shape)), int(np.prod(coarse))
    if P.shape != (cells, coarse_cells) or R.shape != (coarse_cells // fewer, cells // fewer):
        raise RefmgError(
            f"found P of shape {P.shape} and R of shape {R.shape}; expected ({cells}, N_H) and "
            f"(N_H / {fewer}, {cells // fewer}) for a fine grid of {shape} cells and stride {stride}"
        )
    return coarse_cells // fewer


def _columns(
    P: Any, R: Any, shape: Shape, coarse: Shape, width: Shape, stride: Shape
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Return ``R K P`` and ``K_H`` of every unit stencil as columns, rows of zeros left out, and a bound."""
    products, units, bound = [], [], 0.0
    for unit in np.eye(int(np.prod(width)), dtype=np.int64).reshape(-1, *width):
        K = convolution_matrix(unit, shape, stride=stride)
        products.append((R @ K @ P).reshape((-1, 1)))
        units.append(convolution_matrix(unit, coarse, stride=stride).reshape((-1, 1)))
        bound = max(bound, rounding_bound(R, K, P))
    both = sparse.csr_array(sparse.hstack([*products, *units]))
    dense = both[np.diff(both.indptr) > 0].toarray()
    return dense[:, : len(units)], dense[:, len(units) :], bound
