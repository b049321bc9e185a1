"""A ResNet moved to another resolution."""

from __future__ import annotations

from math import prod
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.grid_change import GridChange, images_on
from refmg.model_transfer import ResolutionChange
from refmg.optimization.numbers import whole_tuple
from refmg.resnet.calibration import calibrated
from refmg.resnet.network import ResNet
from refmg.resnet.response_fit import LayerFit
from refmg.resnet.statistics import reestimate_statistics
from refmg.resnet.switch import ResNetSwitch, ResNetTransferOptions, resnet_norms, resnet_parts
from refmg.stencil_maps import CALIBRATED, SPECTRUM, UNCHANGED, AnyTransfer, stencil_transfer_names
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of
from refmg_backends.backend import Array

Images = NDArray[np.floating]


def resnet_transfer_names() -> list[str]:
    """Return the names that :func:`transfer_resnet` knows.

    Examples
    --------
    >>> resnet_transfer_names()[:3]
    ['average', 'calibrated', 'full-weighting']
    """
    return sorted([*stencil_transfer_names(), CALIBRATED])


def transfer_resnet(
    net: ResNet,
    shape: Shape,
    transfer: AnyTransfer = "linear",
    images: Any = None,
    options: ResNetTransferOptions | None = None,
) -> tuple[ResNet, ResNetSwitch]:
    """Return the network for another resolution, and what was done.

    Parameters
    ----------
    net : ResNet
        It is not changed.
    shape : tuple of int
        Cells of the new grid, coarser or finer.
    transfer : str, callable or Covariance
        ``"calibrated"``, or a map of single stencils: see :func:`resnet_transfer_names`.
    images : ndarray, shape (in_channels, n_1, n_2, m), optional
        Unlabelled, on the host and on the **finer** of the two grids, prepared as the network wants them;
        their block means are the coarse ones. Needed by ``"spectrum"``, by ``"calibrated"`` and for
        batch-norm statistics.
    options : ResNetTransferOptions, optional

    Returns
    -------
    ResNet
    ResNetSwitch

    Warns
    -----
    FewImagesWarning
        By ``"calibrated"``, if most convolutions have fewer equations than unknowns, or there is one image
        alone.

    Raises
    ------
    ClosureError, RefmgError
        For an unknown name, grids of which neither is a multiple of the other, or missing images.

    Notes
    -----
    Stencil-wise transfers move 3 x 3 stencils (strided ones as ``options.strided`` says) and keep 1 x 1
    stencils, scales and shifts of batch norms, and the classifier: it acts on means over all cells, which
    know no resolution.

    Examples
    --------
    >>> from refmg.resnet import ResNetArchitecture, random_resnet
    >>> net = random_resnet(ResNetArchitecture((8, 8), blocks=(1, 1), widths=(2, 4)), 0, backend="numpy")
    >>> fine, switch = transfer_resnet(net, (16, 16), options=ResNetTransferOptions(batch_norm=False))
    >>> [(part.name, part.action) for part in switch.parts]  # doctest: +NORMALIZE_WHITESPACE
    [('stencils', 'moved'), ('pointwise', 'kept'), ('batch-norm scales', 'kept'), ('classifier', 'kept'),
     ('momentum', 'restarted'), ('batch-norm statistics', 'kept')]
    """
    begin, options = perf_counter(), options or ResNetTransferOptions()
    change = GridChange.between(net.architecture.shape, whole_tuple("shape", shape))
    name = transfer if isinstance(transfer, str) else type(transfer).__name__
    seen = _images(net, change, transfer, images, options)
    moved = _stencilwise(net, change, options.prior if transfer == CALIBRATED else transfer, seen, options)
    fits: tuple[LayerFit, ...] = ()
    if transfer == CALIBRATED:
        moved, fits = calibrated(net, moved, _pairs(net, change, seen, options), options)
    elif options.batch_norm:
        moved = reestimate_statistics(moved, _parts(images_on(seen, change.new), options))
    switch = ResNetSwitch(
        change.old,
        change.new,
        name,
        resnet_parts(
            net, moved, f"from {change.old} to {change.new} cells by {name!r}{_strided(net, name, options)}"
        ),
        resnet_norms(net, moved),
        fits,
        0 if seen is None else seen.shape[-1],
        perf_counter() - begin,
    )
    return moved, switch


def _strided(net: ResNet, name: str, options: ResNetTransferOptions) -> str:
    """Say how strided stencils were moved, where there are any that a map moved for itself."""
    wide = [s for s in net.architecture.convolutions() if max(s.geometry.width) > 1]
    if name in (UNCHANGED, CALIBRATED) or all(max(spec.geometry.stride) == 1 for spec in wide):
        return ""
    return "; strided ones " + (
        "by the map for their stride" if options.strided == "own" else "as without a stride"
    )


def _images(
    net: ResNet, change: GridChange, transfer: AnyTransfer, images: Any, options: ResNetTransferOptions
) -> Any:
    """Return the images on the finer grid, having checked that those are there that are needed."""
    if isinstance(transfer, str) and transfer not in resnet_transfer_names():
        raise RefmgError(one_of("transfer", transfer, resnet_transfer_names()))
    names = transfer, options.prior if transfer == CALIBRATED else transfer
    wanted = [repr(n) for n in names[:1] if n == CALIBRATED] + [repr(n) for n in names[1:] if n == SPECTRUM]
    if options.batch_norm:
        wanted.append("re-estimation of batch-norm statistics (batch_norm=False leaves it out)")
    if images is None:
        if wanted:
            raise RefmgError(
                f"{wanted[0]} needs images: images=x of shape (channels, finer grid, examples), no labels"
            )
        return None
    found = change.on_fine(np.asarray(images))
    if found.shape[0] != net.architecture.in_channels:
        raise RefmgError(
            f"found images of {found.shape[0]} channels; expected {net.architecture.in_channels}"
        )
    return found


def _stencilwise(
    net: ResNet, change: GridChange, transfer: AnyTransfer, images: Any, options: ResNetTransferOptions
) -> ResNet:
    """Return the network on the new grid, each 3 x 3 stencil moved for itself."""
    new, place = net.on(change.new), net.backend
    if transfer == UNCHANGED:
        return new
    direction = "coarse" if change.down else "fine"
    maps = ResolutionChange(change.factor, direction, transfer, options.closure, images)
    parameters = dict(net.parameters)
    for spec in net.architecture.convolutions():
        if max(spec.geometry.width) == 1:
            continue
        name = f"{spec.name}.weight"
        host = np.asarray(place.to_numpy(net.parameters[name]), dtype=np.float64)
        try:
            moved = maps.stencil(host, spec.geometry.stride if options.strided == "own" else None)
        except RefmgError as error:
            raise type(error)(f"{spec.name}: {error}") from error
        parameters[name] = place.asarray(np.ascontiguousarray(moved), dtype=net.dtype)
    return new.with_arrays(parameters)


def _parts(images: Images, options: ResNetTransferOptions) -> list[Images]:
    size = options.batch_size
    return [images[..., i : i + size] for i in range(0, images.shape[-1], size)]


def _pairs(
    net: ResNet, change: GridChange, images: Images, options: ResNetTransferOptions
) -> list[tuple[Array, Array]]:
    """Return the images for the new and for the old network, flat and on the device."""

    def flat(part: Images) -> Array:
        rows = np.ascontiguousarray(part).reshape(part.shape[0], prod(part.shape[1:-1]), part.shape[-1])
        return net.backend.asarray(rows, dtype=net.dtype)

    both = (_parts(images_on(images, grid), options) for grid in (change.new, change.old))
    return [(flat(new), flat(old)) for new, old in zip(*both, strict=True)]
