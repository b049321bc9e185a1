"""The Galerkin product ``R K P``, and a check of it for any pair (paper, equations 8 and 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from refmg.convolution import convolution_matrix
from refmg.stencil import with_channels
from refmg.stencil_map import ClosureError
from refmg.transfer import Shape, Transfer, coarse_shape
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError


def coarse_operator(
    stencil: ArrayLike,
    shape: Shape,
    transfer: Transfer = "linear",
    factor: int | Shape = 2,
    boundary: str = "periodic",
) -> sparse.csr_array:
    """Return the coarse operator ``R K(s) P`` as an explicit product.

    Parameters
    ----------
    stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        Fine stencil.
    shape : tuple of int
        Cells of the **fine** grid.
    transfer : str or callable
        The pair (R, P); see :func:`refmg.named_pair`.
    factor : int or tuple of int
        Coarsening factor.
    boundary : {"periodic", "zero", "reflect"}
        Of K, R and P alike. The product is a convolution up to the boundary for every pair if
        periodic; otherwise near the boundary only for some pairs.

    Returns
    -------
    scipy.sparse.csr_array, shape (C_out * N_H, C_in * N_H)

    Raises
    ------
    ClosureError
        If the coarse grid has fewer cells than the stencil has taps: neighbours on both sides would be
        the same cell, and a stencil could not be read off.
    RefmgError
        If the factor does not divide the grid, or a name is unknown.

    Examples
    --------
    >>> coarse_operator([1, -2, 1], (8,)).toarray()
    array([[-0.5 ,  0.25,  0.  ,  0.25],
           [ 0.25, -0.5 ,  0.25,  0.  ],
           [ 0.  ,  0.25, -0.5 ,  0.25],
           [ 0.25,  0.  ,  0.25, -0.5 ]])
    """
    s = with_channels(stencil, len(shape))
    check_coarse_grid(coarse_shape(shape, factor), s.shape[2:])
    K = convolution_matrix(s, shape, boundary)
    R = on_channels(restriction_matrix(shape, transfer, factor, boundary), s.shape[0])
    P = on_channels(prolongation_matrix(shape, transfer, factor, boundary), s.shape[1])
    return R @ K @ P  # the Galerkin operator, equation (9)


def on_channels(A: sparse.csr_array, channels: int) -> sparse.csr_array:
    """Return the operator that acts on each channel alike, ``I (x) A``.

    Parameters
    ----------
    A : sparse array
        Acts on one channel.
    channels : int
        Number of channels.

    Returns
    -------
    scipy.sparse.csr_array
    """
    return sparse.csr_array(sparse.kron(sparse.eye_array(channels, dtype=A.dtype), A, format="csr"))


def check_coarse_grid(coarse: Shape, width: Shape) -> None:
    """Refuse a coarse grid with fewer cells than the stencil has taps.

    Raises
    ------
    ClosureError
        With the grid, the width and the least grid.
    """
    if any(n < k for n, k in zip(coarse, width, strict=True)):
        raise ClosureError(
            f"found a coarse grid of {coarse} cells for a stencil of width {width}; expected at least as "
            "many cells as taps: take a finer grid or fewer levels"
        )


@dataclass(frozen=True)
class GalerkinReport:
    """What :func:`check_galerkin` found; true in a condition if the check passed.

    Attributes
    ----------
    stencil : ndarray, shape (C_out, C_in, k_1, .., k_d)
        The coarse stencil read from ``R K P``, of the fine stencil's width.
    error : float
        Largest entry of ``|R K P - K(stencil)|``.
    bound : float
        What rounding alone can explain; 0 for integer matrices.
    width : tuple of int or None
        The least odd width that holds ``R K P``; None if it is not a convolution at all.
    """

    stencil: NDArray[Any]
    error: float
    bound: float
    width: Shape | None

    def __bool__(self) -> bool:
        return bool(self.error <= self.bound < float("inf"))

    def __str__(self) -> str:
        verdict = "holds" if self else "FAILS"
        found = "not a convolution" if self.width is None else f"a convolution of width {self.width}"
        return f"R K P == K(s_H) {verdict}: error {self.error:.3g}, bound {self.bound:.3g}; R K P is {found}"


def check_galerkin(
    P: Any, R: Any, stencil: ArrayLike, shape: Shape, coarse: Shape | None = None
) -> GalerkinReport:
    """Check for your own P and R whether ``R K(s) P`` is a convolution with a stencil as wide as `s`.

    Parameters
    ----------
    P : sparse or dense array, shape (N_h, N_H)
        Prolongation, on one channel.
    R : sparse or dense array, shape (N_H, N_h)
        Restriction, on one channel.
    stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        Fine stencil. With integer P, R and stencil the check has no rounding and the bound is 0.
    shape : tuple of int
        Cells of the fine grid.
    coarse : tuple of int, optional
        Cells of the coarse grid; by default the same factor on every axis, from the sizes of R.

    Returns
    -------
    GalerkinReport
        True in a condition if the identity holds.

    Raises
    ------
    RefmgError
        If the shapes of P and R do not fit the grids.

    Examples
    --------
    >>> P, R = prolongation_matrix((8,)), restriction_matrix((8,))
    >>> print(check_galerkin(P, R, [1.0, -2.0, 1.0], (8,)))
    R K P == K(s_H) holds: error 0, bound 5.33e-15; R K P is a convolution of width (3,)
    >>> bool(check_galerkin(P, P.T / 2, [1.0, -2.0, 1.0], (12,)))
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: found P of shape (8, 4) and R of shape (4, 8); expected (12, N_H) \
and (N_H, 12) for a fine grid of (12,) cells
    """
    s = with_channels(stencil, len(shape))
    P, R = sparse.csr_array(P), sparse.csr_array(R)
    target = coarse or coarse_grid(R.shape, shape)
    _check_sizes(P.shape, R.shape, shape, target)
    check_coarse_grid(target, s.shape[2:])
    K = convolution_matrix(s, shape)
    product = on_channels(R, s.shape[0]) @ K @ on_channels(P, s.shape[1])
    found = read_stencil(product, target, s.shape[:2], s.shape[2:])
    error = _distance(product, convolution_matrix(found, target))
    bound = rounding_bound(R, K, P)
    return GalerkinReport(found, error, bound, _least_width(product, target, s.shape[:2], bound))


def read_stencil(A: sparse.csr_array, shape: Shape, channels: Shape, width: Shape) -> NDArray[Any]:
    """Return the taps in the row of one cell of a convolution matrix.

    Parameters
    ----------
    A : sparse array, shape (C_out * N, C_in * N)
        The matrix.
    shape : tuple of int
        Cells of its grid.
    channels : tuple of int
        ``(C_out, C_in)``.
    width : tuple of int
        Taps to read per axis, at most the number of cells.

    Returns
    -------
    ndarray, shape (C_out, C_in, k_1, .., k_d)

    Examples
    --------
    >>> read_stencil(convolution_matrix([1, 5, 2], (4,)), (4,), (1, 1), (3,))
    array([[[1, 5, 2]]])
    """
    size, centre = int(np.prod(shape)), np.array(shape) // 2
    rows = np.arange(channels[0]) * size + np.ravel_multi_index(centre, shape)
    dense = sparse.csr_array(A)[rows].toarray().reshape(*channels, *shape)
    for axis, (c, k) in enumerate(zip(centre, width, strict=True), start=2):
        dense = np.take(dense, np.arange(k) + c - k // 2, axis=axis, mode="wrap")
    return dense


def coarse_grid(R: Shape, shape: Shape) -> Shape:
    """Return the grid of as many cells as R has rows, the same factor on every axis.

    Raises
    ------
    RefmgError
        If there is none.

    Examples
    --------
    >>> coarse_grid((6, 24), (4, 6))
    (2, 3)
    """
    ratio = (int(np.prod(shape)) / max(R[0], 1)) ** (1 / len(shape))
    factor = max(round(ratio), 1)
    if any(n % factor for n in shape):
        raise _size_error(R[::-1], R, shape)
    return tuple(n // factor for n in shape)


def _check_sizes(P: Shape, R: Shape, shape: Shape, coarse: Shape) -> None:
    fine_cells, coarse_cells = int(np.prod(shape)), int(np.prod(coarse))
    if (fine_cells, coarse_cells) != P or (coarse_cells, fine_cells) != R:
        raise _size_error(P, R, shape)


def _size_error(P: Shape, R: Shape, shape: Shape) -> RefmgError:
    cells = int(np.prod(shape))
    return RefmgError(
        f"found P of shape {P} and R of shape {R}; expected ({cells}, N_H) and (N_H, {cells}) "
        f"for a fine grid of {shape} cells"
    )


def _distance(A: sparse.csr_array, B: sparse.csr_array) -> float:
    return float(abs(A - B).max())


def rounding_bound(R: sparse.csr_array, K: sparse.csr_array, P: sparse.csr_array) -> float:
    """Return the first-order rounding bound of two successive products; 0 for integers.

    It is gamma_n |R| |K| |P|, largest row sum.

    Examples
    --------
    >>> R, K, P = (sparse.csr_array(np.ones((2, 2), int)) for _ in range(3))
    >>> rounding_bound(R, K, P)
    0.0
    """
    dtype = np.result_type(R.dtype, K.dtype, P.dtype)
    if dtype.kind in "iub":
        return 0.0
    terms = max(int(np.diff(A.indptr).max(initial=0)) for A in (R, sparse.csr_array(K), P))
    norms = [float(abs(A).sum(axis=1).max()) for A in (R, abs(K), P)]
    return 2 * terms * float(np.finfo(dtype).eps) * float(np.prod(norms))


def _least_width(product: sparse.csr_array, shape: Shape, channels: Shape, bound: float) -> Shape | None:
    """Return the least width whose stencil gives `product`, or None where it is not circulant."""
    if not np.isfinite(product.data).all():
        return None
    full = _whole_row(product, shape, channels)
    if _distance(product, convolution_matrix(full, shape)) > bound:
        return None
    used = np.argwhere(np.abs(full) > bound)[:, 2:] - np.array(full.shape[2:]) // 2
    return tuple(2 * int(np.abs(axis).max(initial=0)) + 1 for axis in used.T)


def _whole_row(product: sparse.csr_array, shape: Shape, channels: Shape) -> NDArray[Any]:
    """Return one row as a stencil that spans the grid; even grids get a zero tap to make it odd."""
    row = read_stencil(product, shape, channels, shape)
    return np.pad(row, [(0, 0), (0, 0), *((0, 1 - n % 2) for n in shape)])
