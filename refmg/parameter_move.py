"""The linear map of all parameters to a coarser grid, as small matrices, and its exact adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from refmg.best_prolongation import BestProlongation
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.galerkin import check_coarse_grid
from refmg.grid_change import GridChange
from refmg.network import Network
from refmg.network_move import pair_of
from refmg.parameters import Parameters
from refmg.stencil_maps import AnyTransfer, covariance_of, named_map
from refmg.transfer import Shape
from refmg.transfer_matrix import restriction_matrix
from refmg_backends import RefmgError
from refmg_backends.backend import Array

Matrix = NDArray[np.float64]


class ParameterMove:
    r"""The map ``A`` of fine parameters to coarse ones of :func:`refmg.transfer_network`, and ``A^T``.

    A loss on the coarse grid is a function of the fine parameters, ``f_H(A theta)``. By the chain rule
    its gradient there is :math:`A^T \nabla f_H(A\theta)`.

    Parameters
    ----------
    network : Network
        Gives shapes, backend and precision; its parameters are not used.
    shape : tuple of int
        The coarser grid, which divides the network's.
    transfer : str, callable or Covariance
        How stencils are moved, see :func:`refmg.named_map`. Not ``"calibrated"``, which is not linear.

    Attributes
    ----------
    stencil, opening : array, shape (n_K, n_K)
        From fine to coarse taps, of layers and opening.
    weights : list of array
        From fine to coarse weights of the classifier: R axis by axis, shapes ``(n_i / f_i, n_i)``, or one
        matrix ``(N_H, N_h)`` for transfers that know images.

    Raises
    ------
    ClosureError
        If stencils do not close under the pair, or the coarse grid is narrower than a stencil.
    RefmgError
        If the grid is not coarser, the transfer is unknown or not linear, or it needs images.

    Notes
    -----
    Stencils: ``s_H = T s_h`` (paper, equation 9). Biases and ``mu`` are kept. Classifier: ``W_H = R W_h``,
    see :func:`refmg.network_move.weight_move`.

    Examples
    --------
    >>> from refmg import Architecture, random_network
    >>> network = random_network(Architecture((8,), channels=1, layers=1, classes=2), 0, "numpy")
    >>> move = ParameterMove(network, (4,))
    >>> move.stencil
    array([[0.5  , 0.125, 0.   ],
           [0.5  , 0.75 , 0.5  ],
           [0.   , 0.125, 0.5  ]])
    >>> fine, coarse = move.fine_size, move.coarse_size
    >>> fine, coarse
    (25, 17)
    >>> from refmg.checks import dot_test
    >>> dot_test(move.restrict, move.adjoint, (fine, coarse), np.random.default_rng(0)).passed
    True
    """

    def __init__(self, network: Network, shape: Shape, transfer: AnyTransfer = "linear") -> None:
        a = network.architecture
        change = coarsening(a.shape, shape)
        self.network, self.change, self.transfer = network, change, transfer
        self.architecture, self.backend = a.on(change.new), network.backend
        self.opening, self.stencil = (
            self._on_backend(stencil_matrix(change, width, transfer)) for width in (a.opening_width, a.width)
        )
        self.weights = [self._on_backend(matrix) for matrix in weight_matrices(change, transfer, a.boundary)]

    def _on_backend(self, matrix: Matrix) -> Array:
        return self.backend.asarray(np.ascontiguousarray(matrix), dtype=self.network.dtype)

    @property
    def fine(self) -> Parameters:
        """Parameters of the fine shapes."""
        return Parameters(self.network.controls, self.network.classifier)

    @property
    def coarse(self) -> Parameters:
        """Parameters of the coarse shapes, all zero."""
        xp, W = self.backend.xp, self.fine.classifier.W
        zero = xp.zeros(self.architecture.classifier_shape, dtype=W.dtype)
        return replace(self.fine, classifier=replace(self.fine.classifier, W=zero))

    @property
    def fine_size(self) -> int:
        """How many fine parameters."""
        return _size(self.fine)

    @property
    def coarse_size(self) -> int:
        """How many coarse parameters."""
        return _size(self.coarse)

    def restrict(self, vector: Array) -> Array:
        """Return ``A theta``, the coarse parameters; vectors list them as ``Parameters.flat``."""
        return self._moved(self.fine.unflat(self.backend.xp, vector), transposed=False)

    def adjoint(self, vector: Array) -> Array:
        """Return ``A^T g``, the gradient in the fine parameters, of a gradient `g` in the coarse ones."""
        return self._moved(self.coarse.unflat(self.backend.xp, vector), transposed=True)

    def coarse_network(self, vector: Array) -> Network:
        """Return the network on the coarse grid with these coarse parameters."""
        parts = self.coarse.unflat(self.backend.xp, vector)
        return Network(self.architecture, parts.controls, parts.classifier, self.backend)

    def _moved(self, parameters: Parameters, transposed: bool) -> Array:
        xp, c = self.backend.xp, parameters.controls
        T, L, matrices = (
            (self.stencil.T, self.opening.T, [R.T for R in self.weights])
            if transposed
            else (self.stencil, self.opening, self.weights)
        )
        old = self.architecture.shape if transposed else self.change.fine
        W = _on_grid(xp, matrices, parameters.classifier.W, old)
        shape = (W.shape[0], *(self.change.fine if transposed else self.architecture.shape), W.shape[-1])
        classifier = Classifier(xp.reshape(W, shape), parameters.classifier.mu)
        controls = Controls(_on_taps(xp, L, c.opening), _on_taps(xp, T, c.stencils), c.biases)
        return Parameters(controls, classifier).flat(xp)


def coarsening(shape: Shape, coarser: Shape) -> GridChange:
    """Return the change to a coarser grid.

    Raises
    ------
    RefmgError
        If it is not coarser.

    Examples
    --------
    >>> coarsening((8, 8), (4, 4)).factor
    (2, 2)
    """
    change = GridChange.between(shape, tuple(coarser))
    if not change.down:
        raise RefmgError(f"found the grid {tuple(coarser)} for {shape}; expected a coarser one")
    return change


def _size(parameters: Parameters) -> int:
    W, mu = parameters.classifier.W, parameters.classifier.mu
    return parameters.controls.size + prod(W.shape) + prod(mu.shape)


def _on_taps(xp: object, matrix: Array, stencils: Array) -> Array:
    """Return ``matrix`` times the taps of each stencil ``(.., k_1, .., k_d)``."""
    flat = xp.reshape(stencils, (-1, matrix.shape[0]))  # type: ignore[attr-defined]
    return xp.reshape(flat @ matrix.T, stencils.shape)  # type: ignore[attr-defined]


def _on_grid(xp: object, matrices: Sequence[Array], W: Array, shape: Shape) -> Array:
    """Return the matrices times ``(C, n_1, .., n_d, classes)`` axis by axis, or one times all cells."""
    cells = shape if len(matrices) == len(shape) else (prod(shape),)
    moved = xp.reshape(W, (W.shape[0], *cells, W.shape[-1]))  # type: ignore[attr-defined]
    for axis, matrix in enumerate(matrices, start=1):
        moved = xp.moveaxis(xp.moveaxis(moved, axis, -1) @ matrix.T, -1, axis)  # type: ignore[attr-defined]
    return moved


def stencil_matrix(change: GridChange, width: int, transfer: AnyTransfer) -> Matrix:
    """Return the matrix from fine to coarse taps, shape ``(n_K, n_K)``, C order.

    Raises
    ------
    ClosureError, RefmgError
        As :func:`refmg.named_map`; also if the coarse grid is narrower than the stencil.

    Examples
    --------
    >>> stencil_matrix(GridChange.between((8,), (4,)), 3, "average")
    array([[0.5, 0. , 0. ],
           [0.5, 1. , 0.5],
           [0. , 0. , 0.5]])
    """
    d = len(change.fine)
    check_coarse_grid(change.coarse, (width,) * d)
    stencil_map = named_map(transfer, width, d, change.factor)
    units = np.eye(width**d).reshape(-1, *(width,) * d)
    return np.stack([np.asarray(stencil_map.restrict(unit), dtype=float).ravel() for unit in units], axis=1)


def weight_matrices(change: GridChange, transfer: AnyTransfer, boundary: str) -> list[Matrix]:
    """Return the map of the classifier's weights: one matrix an axis, or one for all cells.

    Examples
    --------
    >>> weight_matrices(GridChange.between((4,), (2,)), "linear", "periodic")[0]
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """
    covariance = covariance_of(transfer)
    if covariance is not None:
        best = BestProlongation(covariance, change.fine, change.factor)
        return [best.matrix().T / prod(change.factor)]
    axes = zip(change.fine, change.factor, strict=True)
    pair = pair_of(transfer)
    return [restriction_matrix((n,), pair, (f,), boundary).toarray() for n, f in axes]
