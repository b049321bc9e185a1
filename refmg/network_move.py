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
from refmg.galerkin import check_coarse_grid
from refmg.grid_change import GridChange
from refmg.network import Network
from refmg.stencil_maps import UNCHANGED, AnyTransfer, covariance_of, named_map
from refmg.transfer import Transfer
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

    def on_host(function: Callable[[FloatArray], FloatArray], array: Any) -> Any:
        host = place.to_numpy(array)
        return place.asarray(np.ascontiguousarray(function(host)).astype(host.dtype))

    moves = {width: _stencil_move(change, width, transfer, images) for width in {a.width, a.opening_width}}
    layers, opening = moves[a.width], moves[a.opening_width]
    controls = Controls(
        on_host(opening, c.opening),
        on_host(lambda all_layers: np.stack([layers(s) for s in all_layers]), c.stencils),
        c.biases,
    )
    weights = weight_move(change, transfer, a.boundary, images)
    classifier = Classifier(on_host(weights, network.classifier.W), network.classifier.mu)
    return Network(a.on(change.new), controls, classifier, place)


def _stencil_move(
    change: GridChange, width: int, transfer: AnyTransfer, images: Any
) -> Callable[[FloatArray], FloatArray]:
    d = len(change.fine)
    check_coarse_grid(change.coarse, (width,) * d)
    stencil_map = named_map(transfer, width, d, change.factor, images=images)
    return stencil_map.restrict if change.down else stencil_map.prolong


def weight_move(
    change: GridChange, transfer: AnyTransfer, boundary: str, images: Any = None
) -> Callable[[FloatArray], FloatArray]:
    r"""Return the function that moves a classifier's weights ``(C, n_1, .., n_d, classes)``.

    Notes
    -----
    Logits are :math:`h^d W^T y`, so W moves as a function: :math:`W_H = R W_h` and :math:`W_h = P W_H`, with
    the pair of the transfer; stencils left unchanged take ``"linear"``. Maps that know images restrict by
    :math:`W_H = f^{-d} P^T W_h` with the best prolongation :math:`P = C R^T (R C R^T)^{-1}`: that is the
    best linear prediction of the logits from R y. (With white noise it is R.)
    """
    covariance = covariance_of(transfer, images)
    columns: Callable[[FloatArray], FloatArray]
    if covariance is not None and change.down:
        best, cells = BestProlongation(covariance, change.fine, change.factor), prod(change.factor)
        columns = lambda W: best.apply_transpose(W.astype(np.float64)) / cells  # noqa: E731
    else:
        make = restriction_matrix if change.down else prolongation_matrix
        matrix = make(change.fine, _pair_of(transfer), change.factor, boundary)
        columns = lambda W: matrix @ W.astype(np.float64)  # noqa: E731

    def move(W: FloatArray) -> FloatArray:
        flat = np.moveaxis(W, 0, -1).reshape(prod(change.old), -1)
        moved = columns(flat).reshape(*change.new, W.shape[-1], W.shape[0])
        return np.moveaxis(moved, -1, 0)

    return move


def _pair_of(transfer: AnyTransfer) -> Transfer:
    """Return the pair that moves functions; the default pair for transfers that have none."""
    from refmg.transfer import TRANSFERS

    if transfer == UNCHANGED or (isinstance(transfer, str) and transfer not in TRANSFERS):
        return DEFAULT_PAIR
    return transfer if isinstance(transfer, str) or callable(transfer) else DEFAULT_PAIR
