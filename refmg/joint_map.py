r"""One invertible map for both directions that keeps the energy of every response."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from refmg.predictive_map import PredictiveMap, free_taps
from refmg.second_moments import Moments
from refmg_backends import RefmgError


class JointMap(PredictiveMap):
    r"""The map T nearest to both predictions among those that keep energy; ``prolong`` is its inverse.

    Parameters
    ----------
    covariance, width, ndim, factor, stride, transfer
        As in :class:`PredictiveMap`.

    Raises
    ------
    ClosureError, RefmgError
        As :class:`PredictiveMap`.

    Notes
    -----
    With A, B, G the moments :math:`E\psi\psi^T, E\psi\varphi^T, E\varphi\varphi^T`, the predictions are
    :math:`A^{-1}B` and :math:`G^{-1}B^T`. In whitened taps both are the matrix
    :math:`A^{-1/2} B\, G^{-1/2} = U \Sigma V^T` and its transpose, the canonical correlations between
    what the two stencils see. The joint map replaces :math:`\Sigma` by the identity,

    .. math:: T = A^{-1/2}\, U V^T\, G^{1/2}, \qquad T^T A T = G,

    that is :math:`E|(K_H R y)_0|^2 = E|(R K_h y)_0|^2`: nothing is shrunk. Among such maps it minimises
    the error of the prediction (orthogonal Procrustes problem). Where constants have infinite power,
    the sum of the taps is kept and the formula holds for the taps that are left.

    Examples
    --------
    >>> from refmg.covariance import PowerLaw
    >>> joint = JointMap(PowerLaw(2.0), ndim=1)
    >>> coarse = joint.restrict([1.0, -2.0, 1.0])
    >>> print(coarse.round(4), joint.prolong(coarse).round(12))
    [ 0.4233 -0.8466  0.4233] [ 1. -2.  1.]
    """

    @cached_property
    def restriction(self) -> Moments:
        """The matrix T from fine to coarse taps, shape ``(n_K, n_K)``."""
        return self._both[0]

    @cached_property
    def prolongation(self) -> Moments:
        """The matrix from coarse to fine taps, the inverse of T."""
        return self._both[1]

    @cached_property
    def _both(self) -> tuple[Moments, Moments]:
        m, n = self.moments, len(self.moments.coarse)
        N = free_taps(n, m.keeps_constants)
        (coarse, white_coarse), (fine, white_fine) = (_roots(N.T @ X @ N) for X in (m.coarse, m.fine))
        left, _, right = np.linalg.svd(white_coarse @ (N.T @ m.mixed @ N) @ white_fine)
        down, up = white_coarse @ left @ right @ fine, white_fine @ (left @ right).T @ coarse
        if not m.keeps_constants:
            return down, up
        quiet, quiet_fine = (_quiet(X, N) for X in (m.coarse, m.fine))
        sums, identity = np.ones((1, n)), np.eye(n)
        down = quiet @ sums + N @ down @ N.T @ (identity - quiet_fine @ sums)
        return down, quiet_fine @ sums + N @ up @ N.T @ (identity - quiet @ sums)


def _roots(X: Moments) -> tuple[Moments, Moments]:
    """Return the symmetric square root of X and its inverse."""
    values, Q = np.linalg.eigh(X)
    if values[0] <= len(X) * np.finfo(float).eps * values[-1]:
        raise RefmgError(
            "found images that do not tell some taps apart: their second moments are singular, and no map "
            "between all stencils keeps energy; take 'spectrum', or images with more detail"
        )
    half = np.sqrt(values)
    return (Q * half) @ Q.T, (Q / half) @ Q.T


def _quiet(X: Moments, N: Moments) -> Moments:
    """Return the taps of sum 1 whose response has the least energy, as a column."""
    start = np.full((len(X), 1), 1 / len(X))
    return np.asarray(start - N @ np.linalg.solve(N.T @ X @ N, N.T @ X @ start))
