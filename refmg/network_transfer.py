"""Moving a trained network to another resolution without training (paper, section 3)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from refmg.calibration import Calibration, SyntheticImages, calibrated_network
from refmg.distributed.shared_examples import SharedExamples, alone_or_shared, as_examples
from refmg.grid_change import GridChange, images_on
from refmg.network import Network
from refmg.network_move import DEFAULT_PAIR, moved_network
from refmg.stencil_maps import CALIBRATED, SPECTRUM, SYNTHETIC, AnyTransfer, stencil_transfer_names
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of

CHECKED = 128  # images at a time, whether they are finite
NEEDS_IMAGES = (CALIBRATED, SPECTRUM)
NetworkTransfer = AnyTransfer | Calibration | SyntheticImages


def network_transfer_names() -> list[str]:
    """Return the names that :func:`transfer_network` knows.

    Examples
    --------
    >>> network_transfer_names()[:4]
    ['average', 'calibrated', 'full-weighting', 'linear']
    """
    return sorted([*stencil_transfer_names(), CALIBRATED, SYNTHETIC])


def transfer_network(
    network: Network,
    shape: Shape,
    transfer: NetworkTransfer = DEFAULT_PAIR,
    *,
    images: Any = None,
    coarse_images: Any = None,
    levels: int = 1,
) -> Network:
    """Return the network on a coarser or finer grid.

    Parameters
    ----------
    network : Network
        Trained on ``network.architecture.shape``.
    shape : tuple of int
        The new grid: on every axis a divisor, or on every axis a multiple, of the old one.
    transfer : str, callable, Covariance, Calibration or SyntheticImages
        How each stencil is moved, see :func:`refmg.named_map`. ``"unchanged"`` keeps the stencils and
        moves the classifier alone, by the default pair: what one does who knows nothing of scales, the
        baseline of the paper's tables. ``"calibrated"``, or a :class:`Calibration`, fits stencils and
        classifier to the network's own responses. ``"synthetic"``, or a :class:`SyntheticImages`, does
        so without images of yours: on random ones.
    images : ndarray or SharedExamples, shape (C_in, n_1, .., n_d, m), optional
        Unlabelled images on the **finer** of the two grids, for ``"spectrum"`` and ``"calibrated"``.
        Finer ones are restricted by averaging.
    coarse_images : ndarray, shape (C_in, n_1, .., n_d, m), optional
        The same images on the coarser grid, for ``"calibrated"``; by default their block means.
    levels : int
        In how many equal steps to go; every step is a transfer of its own.

    Returns
    -------
    Network
        Opening and stencils moved alike, biases kept. The classifier's weights are moved as functions on
        the grid: ``W_H = R W_h`` or ``W_h = P W_H``; by transfers that know images, to the coarse grid,
        as the best prediction of the logits, ``W_H = f^-d P^T W_h`` with ``P = C R^T (R C R^T)^-1``.

    Warns
    -----
    FewImagesWarning
        By ``"calibrated"``, if most convolutions have fewer equations than unknowns, or there is one image
        alone.

    Raises
    ------
    ClosureError
        If the stencils do not close under the pair, or the coarse grid is narrower than a stencil.
    RefmgError
        If one grid does not divide the other, the transfer is unknown, or images are missing, of another
        number of channels, or not finite.

    Examples
    --------
    >>> from refmg.architecture import Architecture
    >>> from refmg.network import random_network
    >>> fine = random_network(Architecture((28, 28)), seed=0)
    >>> transfer_network(fine, (14, 14)).architecture.shape
    (14, 14)
    >>> transfer_network(fine, (7, 7), "power-law", levels=2).architecture.shape
    (7, 7)
    """
    _check(transfer, images)
    if _name(transfer) in NEEDS_IMAGES:
        _check_images("images", images, network, _name(transfer))
        _check_images("coarse_images", coarse_images, network, _name(transfer))
    old = network.architecture.shape
    if tuple(shape) == old:
        return network
    for change in GridChange.between(old, tuple(shape)).split(levels):
        network = _one_level(network, change, transfer, images, coarse_images)
    return network


def _check(transfer: NetworkTransfer, images: Any) -> None:
    if isinstance(transfer, str) and transfer not in network_transfer_names():
        raise RefmgError(one_of("transfer", transfer, network_transfer_names()))
    name = _name(transfer)
    if images is None and name in NEEDS_IMAGES:
        raise RefmgError(
            f"{name!r} needs images: images=x of shape (channels, finer grid, examples), without labels"
        )


def _name(transfer: NetworkTransfer) -> Any:
    return CALIBRATED if isinstance(transfer, Calibration) else transfer


def _check_images(name: str, images: Any, network: Network, transfer: str) -> None:
    """Refuse images that this network does not see, or that no least squares can use."""
    if images is None:
        return
    x, ndim, channels = as_examples(images), len(network.architecture.shape), network.architecture.in_channels
    # A spectrum is that of all channels together, however many.
    if x.ndim != ndim + 2 or not prod(x.shape) or (transfer == CALIBRATED and x.shape[0] != channels):
        raise RefmgError(
            f"found {name} of shape {x.shape}; expected (channels, grid, examples): {channels} channels, "
            f"{ndim} axes of a grid, at least one example"
        )
    if x.dtype.kind not in "fiu":
        raise RefmgError(f"found {name} of type {x.dtype}; expected real numbers")
    # An example at a time, so that no second array of this size is made.
    bad = _first_bad(x)
    if bad is not None:
        raise RefmgError(f"found NaN or infinity in {name}, example {bad}; expected finite values: drop it")


def _first_bad(x: Any) -> int | None:
    """Return the number of the first example that is not finite; a rank looks at its own."""
    if not isinstance(x, SharedExamples):
        return next((i for i in range(x.shape[-1]) if not np.isfinite(x[..., i]).all()), None)
    part = x.share.part(x.share.division(x.shape[-1], x.shape[-1]))
    own = None
    for start in range(part.start, part.stop, CHECKED):
        bad = _first_bad(x.read(slice(start, min(start + CHECKED, part.stop))))
        if bad is not None:
            own = start + bad
            break
    found = x.share.communicator.gather(own)
    return next((bad for bad in found if bad is not None), None)


def _one_level(
    network: Network, change: GridChange, transfer: NetworkTransfer, images: Any, coarse_images: Any
) -> Network:
    if transfer == SYNTHETIC or isinstance(transfer, SyntheticImages):
        return _without_data(
            network, change, transfer if isinstance(transfer, SyntheticImages) else SyntheticImages()
        )
    if not isinstance(transfer, Calibration) and transfer != CALIBRATED:
        fine = None if images is None else change.on_fine(as_examples(images))
        return moved_network(network, change, transfer, fine)
    settings = transfer if isinstance(transfer, Calibration) else Calibration()
    # Restricted batch by batch, when they are read.
    fine = change.on_fine(alone_or_shared(images))
    coarse = images_on(fine if coarse_images is None else alone_or_shared(coarse_images), change.coarse)
    return calibrated_network(network, change, fine, coarse, settings)


def _without_data(network: Network, change: GridChange, source: SyntheticImages) -> Network:
    a = network.architecture
    fine = source.draw(a.in_channels, change.fine)
    coarse = source.restricted(fine, change.factor, a.boundary)
    return calibrated_network(network, change, fine, coarse, source.calibration)
