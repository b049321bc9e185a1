r"""The prolongation that guesses fine images best, :math:`P = C R^T (R C R^T)^{-1}`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refmg.covariance import Covariance
from refmg.transfer import Shape, Transfer
from refmg.transfer_matrix import restriction_matrix


class BestProlongation:
    r"""The linear prolongation with least mean square error over images, on a periodic grid.

    Parameters
    ----------
    covariance : Covariance
        C, the covariance of the images on the fine grid.
    shape, factor : tuple of int
        Cells of the fine grid; coarsening factor, one an axis.
    transfer : str or callable
        Gives R, see :func:`refmg.named_pair`.

    Notes
    -----
    :math:`P = C R^T (R C R^T)^{-1}` minimises :math:`E\|P R y - y\|^2`, and :math:`R P = I`. C and
    :math:`R C R^T` are circulant, so both are applied by FFT. Infinite power of constants is taken for 1:
    a restriction that averages blocks cannot confuse them with another frequency, and P does not depend on
    it. Coarse frequencies that no image has are left out.

    Examples
    --------
    >>> from refmg.covariance import PowerLaw
    >>> P = BestProlongation(PowerLaw(2.0), (8,), (2,))
    >>> print(P.matrix()[:, 1].round(3))
    [-0.181  0.181  1.     1.     0.181 -0.181 -0.    -0.   ]
    """

    def __init__(
        self, covariance: Covariance, shape: Shape, factor: Shape, transfer: Transfer = "linear"
    ) -> None:
        self.shape = tuple(shape)
        self.coarse = tuple(n // f for n, f in zip(shape, factor, strict=True))
        self.R = restriction_matrix(self.shape, transfer, factor)
        power = covariance.power(self.shape)
        self._power = np.where(np.isinf(power), 1.0, power)
        first = np.zeros(len(self.R.indptr) - 1)
        first[0] = 1.0
        row = self.R @ self._covariance(self.R.T @ first[:, None])
        self._inverse = _pseudoinverse(np.fft.fftn(row.reshape(self.coarse)).real)

    def _covariance(self, Y: NDArray[np.float64]) -> NDArray[np.float64]:
        return _circulant(self._power, Y)

    def apply(self, Y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``P Y`` for coarse images as columns, shape ``(N_H, m)``."""
        return self._covariance(self.R.T @ _circulant(self._inverse, Y))

    def apply_transpose(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``P^T X`` for fine columns, shape ``(N_h, m)``."""
        return _circulant(self._inverse, self.R @ self._covariance(X))

    def matrix(self) -> NDArray[np.float64]:
        """Return P, shape ``(N_h, N_H)``."""
        return self.apply(np.eye(self.R.shape[0]))


def _circulant(eigenvalues: NDArray[np.float64], Y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric circulant matrix with these eigenvalues times columns."""
    shape = eigenvalues.shape
    axes = tuple(range(len(shape)))
    transformed = np.fft.fftn(Y.reshape(*shape, -1), axes=axes) * eigenvalues[..., None]
    return np.asarray(np.fft.ifftn(transformed, axes=axes).real.reshape(Y.shape))


def _pseudoinverse(eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = eigenvalues > eigenvalues.size * np.finfo(float).eps * eigenvalues.max()
    return np.where(kept, 1 / np.where(kept, eigenvalues, 1.0), 0.0)
