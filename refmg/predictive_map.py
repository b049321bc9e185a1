r"""Maps that predict what the other stencil would respond to images, :math:`R K_h y \approx K_H R y`."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refmg.covariance import Covariance
from refmg.moment_solve import pseudoinverse
from refmg.second_moments import Moments, SecondMoments, second_moments
from refmg.stencil import check_width, move_taps, per_axis
from refmg.transfer import Shape, Transfer


class PredictiveMap:
    r"""The two best linear predictions between fine and coarse stencils over images.

    Parameters
    ----------
    covariance : Covariance
        Of the images on the fine grid: :class:`PowerLaw` or :class:`Spectrum`.
    width : int or tuple of int
        Taps per axis, odd.
    ndim : int
        Number of grid axes ``d``.
    factor, stride : int or tuple of int
        Coarsening factor; stride of the convolution, the same on both grids.
    transfer : str or callable
        Gives R, see :func:`refmg.named_pair`; its P is not used.

    Raises
    ------
    ClosureError
        If the grid of the covariance is too coarse for the stencil.
    RefmgError
        For an even width or a factor that does not divide the grid of the covariance.

    Notes
    -----
    ``restrict`` minimises :math:`E |(K_H R y - R K_h y)_0|^2` over :math:`s_H`, ``prolong`` the same
    over :math:`s_h`:

    .. math:: s_H = (E\psi\psi^T)^{-1} (E\psi\varphi^T)\, s_h, \qquad
              s_h = (E\varphi\varphi^T)^{-1} (E\varphi\psi^T)\, s_H.

    The channels may be correlated in any way that all cells and distances share (second moments
    :math:`Q \otimes C`): Q cancels. Each map shrinks what it cannot know, so the two are not inverses. Where
    no image excites a combination of taps (variance below :math:`n_K \varepsilon` of the largest), the
    smallest solution is taken.

    Examples
    --------
    >>> from refmg.covariance import PowerLaw
    >>> print(PredictiveMap(PowerLaw(2.0), ndim=1).restrict([1.0, -2.0, 1.0]).round(4))
    [ 0.3854 -0.7707  0.3854]
    >>> print(PredictiveMap(PowerLaw(0.0, constant=1.0), ndim=1).restriction.round(12) + 0.0)
    [[0.5 0.  0. ]
     [0.5 1.  0.5]
     [0.  0.  0.5]]
    """

    def __init__(
        self,
        covariance: Covariance,
        width: int | Shape = 3,
        ndim: int = 2,
        factor: int | Shape = 2,
        stride: int | Shape = 1,
        transfer: Transfer = "linear",
    ) -> None:
        self.covariance, self.ndim, self.transfer = covariance, ndim, transfer
        self.width = check_width(per_axis("width", width, ndim))
        self.factor, self.stride = per_axis("factor", factor, ndim), per_axis("stride", stride, ndim)
        self.moments = second_moments(covariance, self.width, self.factor, self.stride, transfer)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.covariance!r}, width={self.width}, factor={self.factor})"

    @cached_property
    def restriction(self) -> Moments:
        """The matrix from fine to coarse taps, shape ``(n_K, n_K)``."""
        m = self.moments
        return best_prediction(m.coarse, m.mixed, m.keeps_constants)

    @cached_property
    def prolongation(self) -> Moments:
        """The matrix from coarse to fine taps, shape ``(n_K, n_K)``."""
        m = self.moments
        return best_prediction(m.fine, m.mixed.T, m.keeps_constants)

    @property
    def condition_numbers(self) -> tuple[float, float]:
        """Of the normal equations of ``restrict`` and of ``prolong``, in the 2-norm."""
        m = self.moments
        N = free_taps(len(m.coarse), m.keeps_constants)
        return float(np.linalg.cond(N.T @ m.coarse @ N)), float(np.linalg.cond(N.T @ m.fine @ N))

    def restrict(self, stencil: ArrayLike) -> NDArray[np.floating]:
        """Return the coarse stencil that best predicts the fine one's response.

        Parameters
        ----------
        stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
            Fine stencil in pixel units.

        Returns
        -------
        ndarray
            The same shape; float32 stays float32, all else becomes float64.

        Raises
        ------
        RefmgError
            If the stencil has another width or a tap that is not finite.
        """
        return move_taps(self.restriction, stencil, self.width)

    def prolong(self, stencil: ArrayLike) -> NDArray[np.floating]:
        """Return the fine stencil that best predicts the coarse one's response; see :meth:`restrict`."""
        return move_taps(self.prolongation, stencil, self.width)

    def relative_error(self, fine: ArrayLike, coarse: ArrayLike) -> float:
        r"""Return :math:`E |(K_H R y - R K_h y)_0|^2` by :math:`E |(R K_h y)_0|^2`, both without constants.

        Parameters
        ----------
        fine, coarse : array_like, shape (k_1, .., k_d)
            Two plain stencils.
        """
        return relative_error(self.moments, np.ravel(fine), np.ravel(coarse))


def free_taps(n: int, keeps_constants: bool) -> Moments:
    """Return orthonormal columns that span the taps left free: all, or those of sum 0.

    Examples
    --------
    >>> free_taps(3, True).shape, free_taps(3, False).shape
    ((3, 2), (3, 3))
    """
    if not keeps_constants:
        return np.eye(n)
    # The first column of Q is the normalised vector of ones; the others are orthogonal to it.
    ones_first = np.column_stack([np.ones(n), np.eye(n)[:, 1:]])
    return np.asarray(np.linalg.qr(ones_first)[0][:, 1:])


def best_prediction(own: Moments, mixed: Moments, keeps_constants: bool) -> Moments:
    """Return the T that minimises the mean square of ``own_taps^T (T s) - other_taps^T s``.

    Parameters
    ----------
    own : ndarray, shape (n_K, n_K)
        Second moments of what the wanted stencil sees.
    mixed : ndarray, shape (n_K, n_K)
        Of that with what the given stencil sees.
    keeps_constants : bool
        Whether the sum of the taps is kept exactly.
    """
    n = len(own)
    N = free_taps(n, keeps_constants)
    start = np.full((n, n), 1 / n) if keeps_constants else np.zeros((n, n))
    return start + N @ pseudoinverse(N.T @ own @ N) @ N.T @ (mixed - own @ start)


def relative_error(moments: SecondMoments, fine: Moments, coarse: Moments) -> float:
    """Return the mean square difference of two responses by that of the fine one's."""
    m = moments
    energy = fine @ m.fine @ fine
    return float((coarse @ m.coarse @ coarse - 2 * coarse @ m.mixed @ fine + energy) / energy)
