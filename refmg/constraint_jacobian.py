r"""The linearised constraints of the whole scheme as one sparse system (paper, equation 6), all at once.

The states solve :math:`c(u, \theta) = 0` with :math:`c_0 = u_0 - E L x` and
:math:`c_{k+1} = u_{k+1} - \Phi_k(u_k, \theta)`. Here :math:`A = \partial c/\partial u` is block lower
bidiagonal with identities on the diagonal, and :math:`B = -\partial c/\partial\theta`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from refmg.explicit_layer import Matrix, stencil_jacobian
from refmg.explicit_step import step_jacobians
from refmg.network import Network
from refmg.propagation import Propagation
from refmg.time_grid import Weights
from refmg_backends import get_backend


@dataclass(frozen=True)
class ConstraintJacobian:
    """The sparse system of all time steps, linearised about one batch.

    Attributes
    ----------
    A : scipy.sparse.csr_array, shape ((N + 1) n, (N + 1) n)
        By the states, unit block lower bidiagonal; ``n`` is the size of one state.
    B : scipy.sparse.csr_array, shape ((N + 1) n, p)
        Minus the derivative by the controls, in the order of ``Controls.flat``.
    observation : scipy.sparse.csr_array, shape (q, (N + 1) n)
        Takes the final features, of size ``q``, out of all states.
    """

    A: Matrix
    B: Matrix
    observation: Matrix

    @cached_property
    def _AT(self) -> Matrix:
        return scipy.sparse.csr_array(self.A.T)

    def states(self, direction: ArrayLike) -> NDArray[np.float64]:
        """Return the tangents of all states along a direction of the controls: forward substitution."""
        b = np.asarray(self.B @ np.asarray(direction, dtype=float))
        return scipy.sparse.linalg.spsolve_triangular(self.A, b, lower=True, unit_diagonal=True)

    def tangent(self, direction: ArrayLike) -> NDArray[np.float64]:
        """Return ``J`` times a direction of the controls; the final features' tangent, flattened."""
        return np.asarray(self.observation @ self.states(direction))

    def adjoint(self, P: ArrayLike) -> NDArray[np.float64]:
        """Return ``J^T P`` by transposed substitution: the controls' gradient.

        Parameters
        ----------
        P : array_like, shape (q,)
            Gradient by the final features, flattened.
        """
        b = np.asarray(self.observation.T @ np.asarray(P, dtype=float))
        multipliers = scipy.sparse.linalg.spsolve_triangular(self._AT, b, lower=False, unit_diagonal=True)
        return np.asarray(self.B.T @ multipliers)


def constraint_jacobian(network: Network, x: ArrayLike) -> ConstraintJacobian:
    r"""Assemble the linearised constraints of the whole time-stepping scheme from explicit matrices.

    Parameters
    ----------
    network : Network
        Its architecture and controls; the classifier is not needed.
    x : array_like, shape (C_in, n_1, .., n_d, m)
        The batch to linearise about; small, as every state of every example is an unknown.

    Returns
    -------
    ConstraintJacobian

    Raises
    ------
    RefmgError
        If the images do not fit the architecture.

    Notes
    -----
    Nothing is taken from the tangent and adjoint code of layers and integrators: the blocks are
    products of explicit convolution matrices, shifts and diagonals, so that agreement is evidence.
    Paper, the constraints of equation (6); Haber and Ascher, Inverse Problems 17 (2001) for the formulation.

    Examples
    --------
    >>> from refmg import Architecture, random_network
    >>> network = random_network(Architecture((3,), channels=1, layers=2, activation="identity"), 0, "numpy")
    >>> system = constraint_jacobian(network, np.ones((1, 3, 1)))
    >>> (abs(system.A) > 0).toarray().astype(int)
    array([[1, 0, 0, 0, 0, 0, 0, 0, 0],
           [0, 1, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 1, 0, 0, 0, 0, 0, 0],
           [1, 1, 1, 1, 0, 0, 0, 0, 0],
           [1, 1, 1, 0, 1, 0, 0, 0, 0],
           [1, 1, 1, 0, 0, 1, 0, 0, 0],
           [0, 0, 0, 1, 1, 1, 1, 0, 0],
           [0, 0, 0, 1, 1, 1, 0, 1, 0],
           [0, 0, 0, 1, 1, 1, 0, 0, 1]])
    """
    p = _on_host(network)
    images = np.asarray(x, dtype=float)
    S = p.first_state(images)
    n, N = S.size, network.architecture.layers
    rows: list[list[Matrix | None]] = [[scipy.sparse.eye_array(n)] + [None] * N]
    by_controls = [_opening_rows(p, images, n)]
    for k in range(N):
        J, parts = step_jacobians(p.steps[k], p.stage_layers(k), S)
        rows.append([None] * k + [-J, scipy.sparse.eye_array(n)] + [None] * (N - k - 1))
        by_controls.append(_control_rows(p, p.stage_weights[k], parts))
        S = p.step(k, S)
    last = scipy.sparse.eye_array(n // p.integrator.copies, (N + 1) * n, k=N * n)
    A, B = scipy.sparse.block_array(rows), scipy.sparse.vstack(by_controls)
    return ConstraintJacobian(_canonical(A), _canonical(B), _canonical(last))


def _on_host(network: Network) -> Propagation:
    controls = network.controls.map(lambda a: network.backend.to_numpy(a).astype(float))
    return Propagation(network.architecture, controls, get_backend("numpy"))


def _canonical(matrix: scipy.sparse.sparray) -> Matrix:
    found: Matrix = scipy.sparse.csr_array(matrix)  # type: ignore[call-overload]
    found.sum_duplicates()
    return found


def _opening_rows(p: Propagation, x: NDArray[np.float64], n: int) -> Matrix:
    opening = stencil_jacobian(p.opening, x)
    others = p.controls.stencils.size + p.controls.biases.size
    below = n - opening.shape[0]
    return (
        scipy.sparse.block_array(
            [
                [opening, scipy.sparse.csr_array((opening.shape[0], others))],
                [scipy.sparse.csr_array((below, opening.shape[1])), None],
            ]
        )
        if below
        else scipy.sparse.hstack([opening, scipy.sparse.csr_array((n, others))])
    )


def _control_rows(p: Propagation, stage_weights: list[Weights], parts: list[Matrix]) -> Matrix:
    c = p.controls
    M, taps, biases = c.stencils.shape[0], c.stencils[0].size, c.biases[0].size
    n = parts[0].shape[0]
    total = [scipy.sparse.csr_array((n, taps + biases)) for _ in range(M)]
    for weights, part in zip(stage_weights, parts, strict=True):
        for j, weight in weights:
            total[j] = total[j] + float(weight) * part
    opening = scipy.sparse.csr_array((n, c.opening.size))
    return scipy.sparse.hstack([opening, *(t[:, :taps] for t in total), *(t[:, taps:] for t in total)])
