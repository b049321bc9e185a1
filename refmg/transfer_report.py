"""What to know about a map of stencils before one uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.matrix_map import MatrixMap
from refmg.stencil import per_axis
from refmg.stencil_map import ClosureError, StencilMap
from refmg.stencil_maps import AnyMap, AnyTransfer, named_map
from refmg.transfer import Shape

PAIRED = (StencilMap, MatrixMap)  # maps that come from R and P
SAMPLES = 100
SEED = 20180202  # of the stencils on which round trips are measured


@dataclass(frozen=True)
class TransferReport:
    """What :func:`transfer_report` found.

    Attributes
    ----------
    name : str
        The transfer, as asked for.
    closes : bool
        Whether every restricted stencil fits the width. If not, all numbers are of the least squares fit.
    coarse_width : tuple of int, optional
        Taps that restricted stencils need; None for given matrices that do not close.
    restriction, prolongation : ndarray, shape (n_K, n_K)
        The maps of one level as matrices. Where the map is singular, ``prolongation`` is the
        pseudoinverse.
    rank : int
        Of ``restriction``.
    levels : int
        The number that ``amplifications`` goes to.
    round_trips : dict
        By dtype: the largest relative error of ``prolong(restrict(s))``, and its bound.
    residuals : tuple of float, optional
        Of ``restrict`` and of ``prolong``: the largest ``||K(s_H) - R K(s_h) P||``, see
        :meth:`StencilMap.residual`, over given stencils of norm 1. None for maps without R and P.
    """

    name: str
    closes: bool
    coarse_width: Shape | None
    restriction: NDArray[np.float64]
    prolongation: NDArray[np.float64]
    rank: int
    levels: int
    round_trips: dict[str, tuple[float, float]]
    residuals: tuple[float, float] | None = None

    @property
    def eigenvalues(self) -> NDArray[Any]:
        """Of ``restriction``, largest first: scalings of discrete derivatives."""
        values = np.real_if_close(np.linalg.eigvals(self.restriction), tol=1e9)
        return values[np.argsort(-np.abs(values), kind="stable")]

    @property
    def condition_number(self) -> float:
        """Of ``restriction`` in the 2-norm; infinite where it is singular."""
        singular = self.rank < len(self.restriction)
        return float("inf") if singular else float(np.linalg.cond(self.restriction))

    @property
    def amplifications(self) -> list[float]:
        """The largest factor by which ``prolong`` enlarges a stencil, over 1, 2, .. levels."""
        powers = [np.linalg.matrix_power(self.prolongation, n) for n in range(1, self.levels + 1)]
        return [float(np.linalg.norm(Q, 2)) for Q in powers]

    @property
    def inverse_error(self) -> float:
        """``||Q T - I||`` in the 2-norm: 0 up to rounding where prolong undoes restrict."""
        return float(np.linalg.norm(self.prolongation @ self.restriction - np.eye(len(self.restriction)), 2))

    def __str__(self) -> str:
        needs = f" (needs width {self.coarse_width})" if self.coarse_width else ""
        fits = "closes" if self.closes else f"does NOT close{needs}: least squares"
        values = ", ".join(f"{v:.4g}" for v in self.eigenvalues)
        growth = ", ".join(f"{a:.4g}" for a in self.amplifications)
        lines = [
            f"{self.name}: {fits}, rank {self.rank} of {len(self.restriction)}",
            f"condition number {self.condition_number:.3f}",
            f"prolong enlarges by up to {growth} over 1 to {self.levels} levels",
            f"eigenvalues {values}",
            f"prolong(restrict) - I: {self.inverse_error:.2g}",
        ]
        if self.residuals is not None:
            lines.append("residual up to {:.2g} of restrict, {:.2g} of prolong".format(*self.residuals))
        trips = (
            f"round trip in {dtype}: error {error:.2g}, bound {bound:.2g}"
            for dtype, (error, bound) in self.round_trips.items()
        )
        return "\n".join([*lines, *trips])


def transfer_report(
    transfer: AnyTransfer | MatrixMap = "linear",
    width: int | Shape = 3,
    ndim: int = 2,
    factor: int | Shape = 2,
    *,
    levels: int = 3,
    stride: int | Shape = 1,
    images: Any = None,
) -> TransferReport:
    """Return closure, condition, amplification, eigenvalues and round trips of a map of stencils.

    Parameters
    ----------
    transfer, width, ndim, factor, stride, images
        As in :func:`named_map`. A :class:`MatrixMap` as `transfer` has its own width, grids and stride.
    levels : int
        How many levels the amplification is followed for.

    Returns
    -------
    TransferReport
        Printable.

    Raises
    ------
    RefmgError
        As :func:`named_map`; a pair that does not close is reported, not refused.

    Notes
    -----
    The error of a round trip is relative, ``||prolong(restrict(s)) - s|| / ||s||``, the largest of 100
    random stencils. Its bound is the rounding of both maps, ``2 (n_K + 2) eps ||Q||_F ||T||_F``, and, where
    ``prolong`` is not the exact inverse of ``restrict``, ``||Q T - I||``.

    Examples
    --------
    >>> print(*str(transfer_report("average", ndim=1, levels=2)).splitlines()[:4], sep=chr(10))
    average: closes, rank 3 of 3
    condition number 3.186
    prolong enlarges by up to 2.524, 5.877 over 1 to 2 levels
    eigenvalues 1, 0.5, 0.5
    """
    options: dict[str, Any] = {"stride": stride, "images": images}
    M = transfer if isinstance(transfer, MatrixMap) else _named(transfer, width, ndim, factor, **options)
    widths = M.width if isinstance(M, PAIRED) else per_axis("width", width, ndim)
    units = np.eye(int(np.prod(widths))).reshape(-1, *widths)
    down, up = (_matrix(move, units) for move in _moves(M))
    rank = M.rank if isinstance(M, PAIRED) else int(np.linalg.matrix_rank(down))
    trips = {name: _round_trip(M, widths, down, up, name) for name in ("float32", "float64")}
    return TransferReport(
        _title(transfer),
        M.closes if isinstance(M, PAIRED) else True,
        _coarse_width(M, widths),
        down,
        up,
        rank,
        levels,
        trips,
        _residuals(M, units) if isinstance(M, PAIRED) else None,
    )


def _named(
    transfer: AnyTransfer,
    width: int | Shape,
    ndim: int,
    factor: int | Shape,
    stride: int | Shape,
    images: Any,
) -> AnyMap:
    options: dict[str, Any] = {"stride": stride, "images": images}
    try:
        return named_map(transfer, width, ndim, factor, **options)
    except ClosureError:
        return named_map(transfer, width, ndim, factor, closure="least-squares", **options)


def _coarse_width(M: AnyMap, widths: Shape) -> Shape | None:
    if isinstance(M, MatrixMap) and not M.closes:
        return None
    return M.coarse_width if isinstance(M, StencilMap) else widths


def _title(transfer: Any) -> str:
    if isinstance(transfer, MatrixMap):
        return "given matrices"
    return transfer if isinstance(transfer, str) else getattr(transfer, "__name__", repr(transfer))


def _moves(M: AnyMap) -> tuple[Any, Any]:
    if isinstance(M, PAIRED):
        return M.restrict, lambda s: M.prolong(s, method="least-squares")
    return M.restrict, M.prolong


def _residuals(M: StencilMap | MatrixMap, units: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 2-norms of the linear maps from a given stencil to the mismatch of its moved one."""
    restrict, prolong = _moves(M)
    down = [M.mismatch(unit, restrict(unit)).ravel() for unit in units]
    up = [M.mismatch(prolong(unit), unit).ravel() for unit in units]
    return float(np.linalg.norm(down, 2)), float(np.linalg.norm(up, 2))


def _matrix(move: Any, units: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([move(unit).ravel() for unit in units]).T


def _round_trip(
    M: AnyMap, widths: Shape, down: NDArray[np.float64], up: NDArray[np.float64], dtype: str
) -> tuple[float, float]:
    s = np.random.default_rng(SEED).standard_normal((SAMPLES, 1, *widths)).astype(dtype)
    restrict, prolong = _moves(M)
    error = np.linalg.norm((prolong(restrict(s)) - s).reshape(SAMPLES, -1).astype(np.float64), axis=1)
    norms = np.linalg.norm(s.reshape(SAMPLES, -1).astype(np.float64), axis=1)
    n, eps = len(down), float(np.finfo(dtype).eps)
    # Each map is a product with a rounded matrix: n_K terms and the entries' own rounding.
    rounding = 2 * (n + 2) * eps * float(np.linalg.norm(up) * np.linalg.norm(down))
    exact = isinstance(M, StencilMap) and M.closes and M.rank == n  # an inverse in fractions, rounded once
    missing = 0.0 if exact else float(np.linalg.norm(up @ down - np.eye(n), 2))
    return float((error / norms).max()), missing + rounding
