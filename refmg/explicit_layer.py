"""Jacobians of layer functions as explicit sparse matrices, independent of the kernels and their adjoints."""

from __future__ import annotations

from functools import singledispatch
from itertools import product
from math import prod
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from refmg.convolution import Convolution, convolution_matrix
from refmg.dynamics import HamiltonianLayer, ResidualLayer, SymmetricLayer, halves

# A scipy.sparse.csr_array; its stubs cannot follow products and blocks.
Matrix = Any


def expand(K: Matrix, examples: int) -> Matrix:
    """Return ``K (x) I_m``, which acts on ``Y.ravel()`` for `Y` of shape ``(C, n_1, .., n_d, m)``.

    Examples
    --------
    >>> expand(scipy.sparse.csr_array([[0, 7]]), 2).toarray()
    array([[0, 0, 7, 0],
           [0, 0, 0, 7]])
    """
    return scipy.sparse.csr_array(scipy.sparse.kron(K, scipy.sparse.eye_array(examples, dtype=K.dtype)))


def stencil_jacobian(K: Convolution, Y: NDArray[Any]) -> Matrix:
    """Return the matrix of the linear map from a stencil ``s`` to ``K(s) Y``.

    Parameters
    ----------
    K : Convolution
        Gives grid, boundary and channels.
    Y : ndarray, shape (C_in, n_1, .., n_d, m)
        What the stencil is applied to.

    Returns
    -------
    scipy.sparse.csr_array, shape (C_out * N * m, C_out * C_in * taps)
        The column of tap j, from channel i to channel o, is ``C_j Y_i`` in the rows of channel o.

    Examples
    --------
    >>> K = Convolution([0.0, 0.0, 0.0], (4,), backend="numpy")
    >>> stencil_jacobian(K, np.array([[[1.0], [2.0], [3.0], [4.0]]])).toarray()
    array([[4., 1., 2.],
           [1., 2., 3.],
           [2., 3., 4.],
           [3., 4., 1.]])
    """
    g, columns = K.geometry, []
    channels = Y.reshape(K.c_in, prod(g.shape), -1)
    shifts = [_shift(g.width, tap, g.shape, g.boundary) for tap in range(prod(g.width))]
    columns = [(C @ channels[i]).ravel() for i, C in product(range(K.c_in), shifts)]
    return scipy.sparse.csr_array(
        scipy.sparse.kron(scipy.sparse.eye_array(K.c_out), np.stack(columns, axis=1))
    )


def transpose_jacobian(K: Convolution, Z: NDArray[Any]) -> Matrix:
    """Return the matrix of the linear map from a stencil ``s`` to ``K(s)^T Z``.

    Parameters
    ----------
    K : Convolution
        Gives grid, boundary and channels.
    Z : ndarray, shape (C_out, n_1, .., n_d, m)
        What the transposed convolution is applied to.

    Returns
    -------
    scipy.sparse.csr_array, shape (C_in * N * m, C_out * C_in * taps)
    """
    g = K.geometry
    channels = Z.reshape(K.c_out, prod(g.shape), -1)
    shifts = [_shift(g.width, tap, g.shape, g.boundary) for tap in range(prod(g.width))]
    blocks = [
        scipy.sparse.kron(
            scipy.sparse.eye_array(K.c_in), np.stack([(C.T @ Z_o).ravel() for C in shifts], axis=1)
        )
        for Z_o in channels
    ]
    return scipy.sparse.csr_array(scipy.sparse.hstack(blocks))


def _shift(width: tuple[int, ...], tap: int, shape: tuple[int, ...], boundary: str) -> Matrix:
    unit = np.zeros(width)
    unit.ravel()[tap] = 1.0
    return convolution_matrix(unit, shape, boundary)


def _bias_jacobian(K: Convolution, examples: int) -> Matrix:
    ones = np.ones((prod(K.geometry.shape) * examples, 1))
    return scipy.sparse.csr_array(scipy.sparse.kron(scipy.sparse.eye_array(K.c_out), ones))


@singledispatch
def layer_jacobians(layer: Any, Y: NDArray[Any]) -> tuple[Matrix, Matrix]:
    r"""Return :math:`\partial F/\partial Y` and :math:`\partial F/\partial(s, b)` as sparse matrices.

    Parameters
    ----------
    layer : Layer
        A layer function of refmg.
    Y : ndarray, shape (C, n_1, .., n_d, m)
        Where.

    Returns
    -------
    tuple of scipy.sparse.csr_array
        Of ``C * N * m`` rows; the columns of the second are the stencil's entries, then the bias's.

    Raises
    ------
    TypeError
        For a layer of another package.
    """
    raise TypeError(f"found a layer of type {type(layer).__name__}; expected one of refmg.dynamics")


@layer_jacobians.register
def _residual(layer: ResidualLayer, Y: NDArray[Any]) -> tuple[Matrix, Matrix]:
    K, m = layer.convolution, Y.shape[-1]
    D = scipy.sparse.diags_array(layer.activation.with_slope(np, layer.affine(Y))[1].ravel())
    by_parameters = scipy.sparse.hstack([stencil_jacobian(K, Y), _bias_jacobian(K, m)])
    return scipy.sparse.csr_array(D @ expand(K.matrix(), m)), scipy.sparse.csr_array(D @ by_parameters)


@layer_jacobians.register
def _symmetric(layer: SymmetricLayer, Y: NDArray[Any]) -> tuple[Matrix, Matrix]:
    inner = layer.inner
    by_features, by_parameters = layer_jacobians(inner, Y)
    KT = layer.sign * expand(layer.convolution.matrix().T.tocsr(), Y.shape[-1])
    outer = layer.sign * transpose_jacobian(layer.convolution, inner.apply(Y))
    no_bias = scipy.sparse.csr_array((outer.shape[0], by_parameters.shape[1] - outer.shape[1]))
    total = KT @ by_parameters + scipy.sparse.hstack([outer, no_bias])
    return scipy.sparse.csr_array(KT @ by_features), scipy.sparse.csr_array(total)


@layer_jacobians.register
def _hamiltonian(layer: HamiltonianLayer, Y: NDArray[Any]) -> tuple[Matrix, Matrix]:
    y, z = halves(Y)
    upper, lower = layer_jacobians(layer.upper, z), layer_jacobians(layer.lower, y)
    by_features = scipy.sparse.block_array([[None, upper[0]], [lower[0], None]])
    taps = prod(layer.upper.convolution.stencil.shape)
    # The columns are ordered as the parameters are kept: both stencils, then both biases.
    s = scipy.sparse.block_diag([upper[1][:, :taps], lower[1][:, :taps]])
    b = scipy.sparse.block_diag([upper[1][:, taps:], lower[1][:, taps:]])
    return scipy.sparse.csr_array(by_features), scipy.sparse.csr_array(scipy.sparse.hstack([s, b]))
