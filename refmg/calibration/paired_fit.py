"""The stencil that responds on a new grid as a given one does on the old grid."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.calibration.settings import Calibration
from refmg.calibration.stencil_fit import StencilFit, tap_operators
from refmg.grid_change import GridChange
from refmg.transfer import Shape
from refmg.transfer_matrix import prolongation_matrix
from refmg_backends.backend import Array

Features = NDArray[np.float64]
Sums = tuple[Features, ...]
PARTS = 4  # arrays that a fit sums up


class PairedFit:
    """Least squares for one stencil, from features of both networks.

    Parameters
    ----------
    change : GridChange
        The two grids.
    R : sparse array
        The restriction between them.
    boundary : str
        Of both networks.
    given, prior : ndarray, shape (C_out, C_in, k_1, .., k_d)
        The stencil on the old grid, and what that on the new one stays near to.
    settings : Calibration
        Ridge and smoothness.
    """

    def __init__(
        self, change: GridChange, R: Any, boundary: str, given: Array, prior: Array, settings: Calibration
    ) -> None:
        self.given, self.prior = (np.asarray(s).astype(np.float64) for s in (given, prior))
        self.settings, width = settings, self.given.shape[2:]
        R_new, R_old = (None, R) if change.down else (R, None)
        self._old = tap_operators(width, change.old, boundary, R=R_old)
        self._new = tap_operators(width, change.new, boundary, R=R_new)
        self._weight = settings.smoothness / prod(change.factor)
        self._rough = [] if change.down or not settings.smoothness else _rough(change, R, boundary, width)

    def sums(self, y_old: NDArray[Any], y_new: NDArray[Any]) -> Sums:
        """Return the normal equations of features ``(C_in, n_1, .., n_d, m)`` on the host."""
        fit, new = self._empty(), _cells(y_new)
        fit.add(new, _response(self._old, self.given, _cells(y_old)))
        if self._rough:
            fit.penalize(new, self._rough, self._weight)
        return fit.sums

    def solve(self, sums: Sums) -> Features:
        """Return the stencil, from the sums over all examples."""
        fit = self._empty()
        fit.take(sums)
        return fit.solve(self.prior, self.settings.ridge)

    def _empty(self) -> StencilFit:
        return StencilFit(self._new, self.given.shape[1], self.given.shape[0])


def _rough(change: GridChange, R: Any, boundary: str, width: Shape) -> list[Any]:
    """Return what each tap's response has within coarse cells, ``(I - P R) T_j``."""
    P = prolongation_matrix(change.fine, "average", change.factor, boundary)
    return [T - P @ (R @ T) for T in tap_operators(width, change.fine, boundary)]


def _cells(Y: NDArray[Any]) -> Features:
    return Y.reshape(Y.shape[0], prod(Y.shape[1:-1]), -1).astype(np.float64)


def _response(operators: list[Any], s: Features, Y: Features) -> Features:
    """Return the sum of the taps' channel matrices times their operators, on ``(C, N, m)``."""
    taps = np.moveaxis(s.reshape(*s.shape[:2], -1), -1, 0)
    by_cell = np.moveaxis(Y, 0, 1).reshape(Y.shape[1], -1)
    seen = ((T @ by_cell).reshape(T.shape[0], *Y.shape[::2]) for T in operators)
    return np.asarray(
        sum(np.einsum("oi,nim->onm", S, y, optimize=True) for S, y in zip(taps, seen, strict=True))
    )
