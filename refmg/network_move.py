"""Moving a network stencil by stencil, and its classifier as a function on the grid."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.best_prolongation import BestProlongation
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.covariance import Spectrum
from refmg.galerkin import check_coarse_grid
from refmg.grid_change import GridChange
from refmg.network import Network
from refmg.stencil_maps import SPECTRUM, AnyTransfer, covariance_of, named_map
from refmg.transfer import TRANSFERS, Transfer
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix

DEFAULT_PAIR = "linear"
FloatArray = NDArray[np.floating]


def moved_network(network: Network, change: GridChange, transfer: AnyTransfer, images: Any = None) -> Network:
    """Return the network on the new grid, each stencil moved for itself.

    Parameters
    ----------
    network : Network
        On the grid ``change.old``.
    change : GridChange
        The two grids.
    transfer : str, callable or Covariance
        See :func:`refmg.named_map`.
    images : ndarray, optional
        On the fine grid, for ``"spectrum"``.

    Returns
    -------
    Network
    """
    a, c, place = network.architecture, network.controls, network.backend
    if transfer == SPECTRUM:
        transfer = Spectrum.of(images)  # once, for all stencils and the classifier

    def on_host(function: Callable[[FloatArray], FloatArray], array: Any) -> Any:
        host = place.to_numpy(array)
        return place.asarray(np.ascontiguousarray(function(host)).astype(host.dtype))

    moves = {width: _stencil_move(change, width, transfer) for width in {a.width, a.opening_width}}
    layers, opening = moves[a.width], moves[a.opening_width]
    controls = Controls(
        on_host(opening, c.opening),
        on_host(lambda all_layers: np.stack([layers(s) for s in all_layers]), c.stencils),
        c.biases,
    )
    weights = weight_move(change, transfer, a.boundary)
    classifier = Classifier(on_host(weights, network.classifier.W), network.classifier.mu)
    return Network(a.on(change.new), controls, classifier, place)


def _stencil_move(
    change: GridChange, width: int, transfer: AnyTransfer
) -> Callable[[FloatArray], FloatArray]:
    d = len(change.fine)
    check_coarse_grid(change.coarse, (width,) * d)
    stencil_map = named_map(transfer, width, d, change.factor)
    return stencil_map.restrict if change.down else stencil_map.prolong


def weight_move(
    change: GridChange, transfer: AnyTransfer, boundary: str
) -> Callable[[FloatArray], FloatArray]:
    r"""Return the function that moves a classifier's weights ``(C, n_1, .., n_d, classes)``.

    Notes
    -----
    Logits are :math:`h^d W^T y`, so W moves as a function: :math:`W_H = R W_h` and :math:`W_h = P W_H`, with
    the pair of the transfer; stencils left unchanged take ``"linear"``. Maps that know images restrict by
    :math:`W_H = f^{-d} P^T W_h` with the best prolongation :math:`P = C R^T (R C R^T)^{-1}`: that is the
    best linear prediction of the logits from R y. (With white noise it is R.)
    """
    columns = _column_move(change, transfer, boundary)

    def move(W: FloatArray) -> FloatArray:
        flat = np.moveaxis(W, 0, -1).reshape(prod(change.old), -1).astype(np.float64)
        moved = columns(flat).reshape(*change.new, W.shape[-1], W.shape[0])
        return np.moveaxis(moved, -1, 0)

    return move


def _column_move(
    change: GridChange, transfer: AnyTransfer, boundary: str
) -> Callable[[NDArray[np.float64]], FloatArray]:
    """Return the function that moves functions on the grid as columns, ``(N, m)``."""
    covariance = covariance_of(transfer)
    if covariance is not None and change.down:
        best, cells = BestProlongation(covariance, change.fine, change.factor), prod(change.factor)
        return lambda W: best.apply_transpose(W) / cells
    make = restriction_matrix if change.down else prolongation_matrix
    matrix = make(change.fine, pair_of(transfer), change.factor, boundary)
    return lambda W: matrix @ W


def pair_of(transfer: AnyTransfer) -> Transfer:
    """Return the pair that moves functions; the default pair for transfers that have none."""
    own = transfer in TRANSFERS if isinstance(transfer, str) else callable(transfer)
    return transfer if own else DEFAULT_PAIR  # type: ignore[return-value]
