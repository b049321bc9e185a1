"""The explicit matrices R and P between two grids (paper, equation 7)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce

import numpy as np
import scipy

from refmg.stencil import per_axis
from refmg.transfer import Shape, Taps, Transfer, TransferPair, coarse_shape, named_pair
from refmg_backends import fold
from refmg_backends.geometry import OUTSIDE, Indices

Block = tuple[Indices, Indices, Fraction]  # rows, columns and the weight they share
AxisMatrix = Callable[[TransferPair, int, str], tuple[list[Block], Taps, tuple[int, int]]]


def restriction_matrix(
    shape: Shape,
    transfer: Transfer = "linear",
    factor: int | Shape = 2,
    boundary: str = "periodic",
    integer: bool = False,
) -> scipy.sparse.csr_array:
    """Return the restriction ``R`` from the fine grid `shape` to the coarse one.

    Parameters
    ----------
    shape : tuple of int
        Cells of the **fine** grid.
    transfer : str or callable
        See :func:`named_pair`.
    factor : int or tuple of int
        Coarsening factor, one for all axes or one each.
    boundary : {"periodic", "zero", "reflect"}
        How the grid goes on outside.
    integer : bool
        Return the integer matrix ``q R`` for the smallest such ``q`` per axis (``2^d R`` for
        ``"linear"`` and factor 2), for checks without rounding.

    Returns
    -------
    scipy.sparse.csr_array, shape (N_coarse, N_fine)
        Canonical.

    Raises
    ------
    RefmgError
        For an unknown transfer or boundary, or a factor that does not divide the grid.

    Examples
    --------
    >>> restriction_matrix((4,)).toarray()
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """
    return _matrix(_restriction_blocks, shape, transfer, factor, boundary, integer)


def prolongation_matrix(
    shape: Shape,
    transfer: Transfer = "linear",
    factor: int | Shape = 2,
    boundary: str = "periodic",
    integer: bool = False,
) -> scipy.sparse.csr_array:
    """Return the prolongation ``P`` from the coarse grid to the fine grid `shape`.

    Parameters
    ----------
    shape : tuple of int
        Cells of the **fine** grid.
    transfer, factor, boundary
        As in :func:`restriction_matrix`.
    integer : bool
        Return the integer matrix ``q P`` (``4^d P`` for ``"linear"`` and factor 2).

    Returns
    -------
    scipy.sparse.csr_array, shape (N_fine, N_coarse)
        Canonical.

    Raises
    ------
    RefmgError
        As :func:`restriction_matrix`.

    Examples
    --------
    >>> prolongation_matrix((6,)).toarray()
    array([[0.75, 0.  , 0.25],
           [0.75, 0.25, 0.  ],
           [0.25, 0.75, 0.  ],
           [0.  , 0.75, 0.25],
           [0.  , 0.25, 0.75],
           [0.25, 0.  , 0.75]])
    """
    return _matrix(_prolongation_blocks, shape, transfer, factor, boundary, integer)


def _matrix(
    blocks: AxisMatrix, shape: Shape, transfer: Transfer, factor: int | Shape, boundary: str, integer: bool
) -> scipy.sparse.csr_array:
    coarse = coarse_shape(shape, factor)
    factors = per_axis("factor", factor, len(shape))
    axes = [
        _assemble(*blocks(named_pair(transfer, f), n, boundary), integer)
        for f, n in zip(factors, coarse, strict=True)
    ]
    product = reduce(lambda left, right: scipy.sparse.kron(left, right, format="csr"), axes)
    matrix = scipy.sparse.csr_array(product)
    matrix.sum_duplicates()
    return matrix


def _restriction_blocks(
    pair: TransferPair, n: int, boundary: str
) -> tuple[list[Block], Taps, tuple[int, int]]:
    """Coarse cell I reads the fine cells ``f I + a``."""
    coarse, fine = np.arange(n), pair.factor * n
    blocks = []
    for a, weight in pair.restriction.items():
        cells = fold(pair.factor * coarse + a, fine, boundary)
        kept = cells != OUTSIDE
        blocks.append((coarse[kept], cells[kept], weight))
    return blocks, pair.restriction, (n, fine)


def _prolongation_blocks(
    pair: TransferPair, n: int, boundary: str
) -> tuple[list[Block], Taps, tuple[int, int]]:
    """Fine cell ``f I + b`` reads coarse cell I, where I also runs over the continued grid."""
    taps, f = pair.prolongation, pair.factor
    reach = -(-(len(taps.weights) + abs(taps.first)) // f)
    coarse = np.arange(-reach, n + reach)
    cells = fold(coarse, n, boundary)
    blocks = []
    for b, weight in taps.items():
        fine = f * coarse + b
        kept = (fine >= 0) & (fine < f * n) & (cells != OUTSIDE)
        blocks.append((fine[kept], cells[kept], weight))
    return blocks, taps, (f * n, n)


def _assemble(
    blocks: list[Block], taps: Taps, size: tuple[int, int], integer: bool
) -> scipy.sparse.csr_array:
    q = taps.denominator
    rows, columns = (np.concatenate([block[axis] for block in blocks]) for axis in (0, 1))
    values = np.concatenate([np.full(len(row), int(weight * q)) for row, _, weight in blocks])
    matrix = scipy.sparse.coo_array((values, (rows, columns)), shape=size).tocsr()
    matrix.sum_duplicates()
    if integer:
        return matrix
    # Summed as integers and divided once, so that each entry is its rational number rounded once.
    # SciPy's own `matrix / q` multiplies by a rounded 1 / q.
    return scipy.sparse.csr_array((matrix.data / q, matrix.indices, matrix.indptr), shape=size)
