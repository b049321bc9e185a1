"""The stencil whose responses are nearest to given ones: normal equations, summed over batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from refmg.convolution import convolution_matrix
from refmg.moment_solve import pseudoinverse
from refmg.transfer import Shape
from refmg_backends import RefmgError

Matrix = NDArray[np.float64]


def tap_operators(
    width: Shape, shape: Shape, boundary: str = "periodic", stride: int | Shape = 1, R: Any = None
) -> list[scipy.sparse.csr_array]:
    """Return what each tap of a stencil does to one channel: a shift with boundary and stride, then R.

    Parameters
    ----------
    width, shape : tuple of int
        Taps of the stencil, cells of the grid.
    boundary, stride
        As in :func:`refmg.convolution_matrix`.
    R : sparse array, optional
        A restriction of the outputs.

    Returns
    -------
    list of scipy.sparse.csr_array
        One a tap, in C order: a response is the sum of the taps times these.

    Examples
    --------
    >>> [C.toarray().argmax(axis=1) for C in tap_operators((3,), (4,))]
    [array([3, 0, 1, 2]), array([0, 1, 2, 3]), array([1, 2, 3, 0])]
    """
    units = np.eye(int(np.prod(width))).reshape(-1, *width)
    shifts = [convolution_matrix(unit, shape, boundary, stride) for unit in units]
    # Explicit zeros of the unit stencils would make every shift as dense as the whole convolution.
    for shift in shifts:
        shift.eliminate_zeros()
    return shifts if R is None else [scipy.sparse.csr_array(R @ shift) for shift in shifts]


class StencilFit:
    r"""Normal equations of :math:`\min_s \|\sum_j S_j T_j Y - G\|^2 + \lambda \|s - s_0\|^2`, with a penalty.

    Parameters
    ----------
    operators : list of sparse array
        ``T_j``, see :func:`tap_operators`.
    c_in, c_out : int
        Channels of inputs ``Y`` and goals ``G``.

    Notes
    -----
    :math:`\lambda` is `ridge` times the mean of the matrix' diagonal: a multiple of the mean square of one
    tap's input, whatever the number of images and the scale of the features.

    Examples
    --------
    >>> Y = np.random.default_rng(0).standard_normal((1, 8, 5))
    >>> K = convolution_matrix([1.0, -2.0, 1.0], (8,))
    >>> fit = StencilFit(tap_operators((3,), (8,)), 1, 1)
    >>> fit.add(Y, (K @ Y[0])[None])
    >>> fit.solve(np.zeros((1, 1, 3))).round(12)
    array([[[ 1., -2.,  1.]]])
    """

    def __init__(self, operators: list[scipy.sparse.csr_array], c_in: int, c_out: int) -> None:
        n = c_in * len(operators)
        self.operators = operators
        self.normal, self.right, self.rows = np.zeros((n, n)), np.zeros((n, c_out)), 0
        self.penalty = np.zeros((n, n))

    def add(self, Y: Matrix, goal: Matrix) -> None:
        """Add examples.

        Parameters
        ----------
        Y : ndarray, shape (C_in, N, m)
            Inputs.
        goal : ndarray, shape (C_out, N', m)
            Responses wanted, without bias.
        """
        features = _seen(self.operators, Y)
        self.normal += features @ features.T
        self.right += features @ goal.reshape(goal.shape[0], -1).T
        self.rows += features.shape[1]

    @property
    def sums(self) -> tuple[Matrix, ...]:
        """All that was added up: normal matrix, right-hand side, penalty, and number of rows."""
        return self.normal, self.right, self.penalty, np.asarray(self.rows)

    def take(self, sums: tuple[Matrix, ...]) -> None:
        """Take the sums over all examples in place of those that were added here."""
        self.normal, self.right, self.penalty, rows = sums
        self.rows = int(rows)

    def penalize(self, Y: Matrix, operators: list[scipy.sparse.csr_array], weight: float) -> None:
        r"""Add :math:`w \|\sum_j S_j D_j Y\|^2`: a part of the response that shall be small.

        Parameters
        ----------
        Y : ndarray, shape (C_in, N, m)
            Inputs.
        operators : list of sparse array
            ``D_j``, one a tap.
        weight : float
            w.
        """
        features = _seen(operators, Y)
        self.penalty += weight * (features @ features.T)

    def solve(self, prior: Matrix, ridge: float = 0.0) -> Matrix:
        """Return the stencil.

        Parameters
        ----------
        prior : ndarray, shape (C_out, C_in, k_1, .., k_d)
            ``s_0``. Without a ridge, what no input excites is taken from it.
        ridge : float
            Relative weight of the distance to it.

        Raises
        ------
        RefmgError
            If features, goals or the prior are not finite.
        """
        A, s = self.normal + self.penalty, prior.reshape(prior.shape[0], -1).T
        if not (np.isfinite(A).all() and np.isfinite(self.right).all() and np.isfinite(s).all()):
            raise RefmgError("found features or weights that are NaN or infinite; expected finite ones")
        missing = self.right - A @ s
        weight = ridge * np.trace(self.normal) / len(A)
        if weight > 0:
            step = scipy.linalg.solve(A + weight * np.eye(len(A)), missing, assume_a="pos")
        else:
            step = pseudoinverse(A) @ missing
        return np.asarray((s + step).T.reshape(prior.shape))

    @property
    def condition_number(self) -> float:
        """Condition number of the normal equations without a ridge, in the 2-norm."""
        return float(np.linalg.cond(self.normal))


def _seen(operators: list[scipy.sparse.csr_array], Y: Matrix) -> Matrix:
    """Return what every tap sees in every channel, shape ``(C_in n_K, N' m)``."""
    by_cell = np.moveaxis(Y, 0, 1).reshape(Y.shape[1], -1)  # (N, C_in m)
    seen = np.stack(
        [(T @ by_cell).reshape(T.shape[0], Y.shape[0], -1) for T in operators]
    )  # (n_K, N', C_in, m)
    return np.moveaxis(seen, 2, 0).reshape(Y.shape[0] * len(operators), -1)
