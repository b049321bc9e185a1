"""Moving a trained network to another resolution without training (paper, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.galerkin import check_coarse_grid
from refmg.network import Network
from refmg.stencil_map import StencilMap
from refmg.transfer import TRANSFERS, Shape, Transfer, coarse_shape
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError, one_of

UNCHANGED = "unchanged"
DEFAULT_PAIR = "linear"


def network_transfer_names() -> list[str]:
    """Return the names that :func:`transfer_network` knows.

    Examples
    --------
    >>> network_transfer_names()
    ['average', 'full-weighting', 'linear', 'unchanged']
    """
    return sorted([*TRANSFERS, UNCHANGED])


def transfer_network(network: Network, shape: Shape, transfer: Transfer = DEFAULT_PAIR) -> Network:
    """Return the network on a coarser or finer grid.

    Parameters
    ----------
    network : Network
        Trained on ``network.architecture.shape``.
    shape : tuple of int
        The new grid: on every axis a divisor, or on every axis a multiple, of the old one.
    transfer : str or callable
        A pair (R, P), see :func:`refmg.named_pair`; or ``"unchanged"``, which keeps the stencils and
        moves the classifier alone, by the default pair. That is what one does who knows nothing of
        scales, the baseline of the paper's tables.

    Returns
    -------
    Network
        Opening and stencils moved by :class:`StencilMap`, biases kept, the classifier's weights moved
        as functions on the grid: ``W_H = R W_h`` or ``W_h = P W_H``.

    Raises
    ------
    ClosureError
        If the stencils do not close under the pair, or the coarse grid is narrower than a stencil.
    RefmgError
        If one grid does not divide the other, or the transfer is unknown.

    Examples
    --------
    >>> from refmg.architecture import Architecture
    >>> from refmg.network import random_network
    >>> fine = random_network(Architecture((28, 28)), seed=0)
    >>> transfer_network(fine, (14, 14)).architecture.shape
    (14, 14)
    """
    if isinstance(transfer, str) and transfer not in network_transfer_names():
        raise RefmgError(one_of("transfer", transfer, network_transfer_names()))
    old = network.architecture.shape
    if tuple(shape) == old:
        return network
    move = _Move.between(old, tuple(shape), transfer, network.architecture.boundary)
    architecture = network.architecture.on(shape)
    place, c = network.backend, network.controls

    def on_host(function: Callable[[NDArray[np.floating]], NDArray[np.floating]], array: object) -> object:
        host = place.to_numpy(array)
        return place.asarray(function(host).astype(host.dtype))

    controls = Controls(on_host(move.stencil, c.opening), on_host(move.stencils, c.stencils), c.biases)
    classifier = Classifier(on_host(move.weights, network.classifier.W), network.classifier.mu)
    return Network(architecture, controls, classifier, place)


@dataclass(frozen=True)
class _Move:
    """One change of grid: how stencils and functions go along."""

    down: bool
    coarse: Shape
    fine: Shape
    factor: Shape
    transfer: Transfer
    boundary: str

    @classmethod
    def between(cls, old: Shape, new: Shape, transfer: Transfer, boundary: str) -> _Move:
        fine, coarse = (old, new) if prod(new) < prod(old) else (new, old)
        divides = len(old) == len(new) and all(f % c == 0 for f, c in zip(fine, coarse, strict=True))
        if not divides or any(f == c for f, c in zip(fine, coarse, strict=True)):
            raise RefmgError(
                f"found a network on a grid of {old} cells to be moved to {new}; expected one grid to be a "
                "multiple of the other on every axis: pad or crop the images"
            )
        factor = tuple(f // c for f, c in zip(fine, coarse, strict=True))
        return cls(fine == old, coarse_shape(fine, factor), fine, factor, transfer, boundary)

    def stencil(self, s: NDArray[np.floating]) -> NDArray[np.floating]:
        """Move one stencil ``(C_out, C_in, k_1, .., k_d)``."""
        width = s.shape[2:]
        check_coarse_grid(self.coarse, width)
        if self.transfer == UNCHANGED:
            return s
        stencil_map = StencilMap(width, len(width), self.transfer, self.factor)
        return stencil_map.restrict(s) if self.down else stencil_map.prolong(s)

    def stencils(self, all_layers: NDArray[np.floating]) -> NDArray[np.floating]:
        """Move the stencils of all layers."""
        return np.stack([self.stencil(s) for s in all_layers])

    def weights(self, W: NDArray[np.floating]) -> NDArray[np.floating]:
        """Move functions ``(C, n_1, .., n_d, classes)``."""
        old, new = (self.fine, self.coarse) if self.down else (self.coarse, self.fine)
        matrix = self._matrix().astype(W.dtype)
        moved = [matrix @ channel.reshape(prod(old), -1) for channel in W]
        return np.stack(moved).reshape(W.shape[0], *new, W.shape[-1])

    def _matrix(self) -> sparse.csr_array:
        pair = DEFAULT_PAIR if self.transfer == UNCHANGED else self.transfer
        make = restriction_matrix if self.down else prolongation_matrix
        return make(self.fine, pair, self.factor, self.boundary)
