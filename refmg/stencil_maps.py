"""Every way to move one stencil to another resolution, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refmg.covariance import Covariance, PowerLaw, Spectrum
from refmg.joint_map import JointMap
from refmg.predictive_map import PredictiveMap
from refmg.stencil import check_width, of_width, per_axis
from refmg.stencil_map import StencilMap
from refmg.transfer import TRANSFERS, Shape, Transfer
from refmg_backends import RefmgError, one_of

UNCHANGED, CALIBRATED, SYNTHETIC = "unchanged", "calibrated", "synthetic"
POWER_LAW, SPECTRUM, JOINT = "power-law", "spectrum", "power-law-joint"
IMAGE_AWARE = (POWER_LAW, JOINT, SPECTRUM)

# A pair (R, P), any other name, or a covariance of images.
AnyTransfer = Transfer | Covariance


class AnyMap(Protocol):
    """What moves stencils, plain or ``(C_out, C_in, k_1, .., k_d)``, between two resolutions."""

    def restrict(self, stencil: ArrayLike) -> NDArray[Any]:
        """Return the coarse stencil of a fine one, of the same shape."""

    def prolong(self, stencil: ArrayLike) -> NDArray[Any]:
        """Return the fine stencil of a coarse one, of the same shape."""


@dataclass(frozen=True)
class UnchangedMap:
    """Keeps every stencil: what one does who knows nothing of scales.

    Examples
    --------
    >>> UnchangedMap((3,)).restrict([1.0, -2.0, 1.0])
    array([ 1., -2.,  1.])
    """

    width: Shape

    def restrict(self, stencil: ArrayLike) -> NDArray[Any]:
        """Return a copy of the stencil."""
        return of_width(stencil, self.width).reshape(np.shape(stencil)).copy()

    prolong = restrict


@dataclass(frozen=True)
class LevelsMap:
    """One map applied several times: from level to level instead of at once.

    Examples
    --------
    >>> LevelsMap(StencilMap(ndim=1), 2).restrict([1.0, 0.0, -1.0])
    array([ 0.25,  0.  , -0.25])
    """

    one_level: AnyMap
    levels: int

    def restrict(self, stencil: ArrayLike) -> NDArray[Any]:
        """Return the stencil `levels` grids coarser."""
        return self._repeat(self.one_level.restrict, stencil)

    def prolong(self, stencil: ArrayLike) -> NDArray[Any]:
        """Return the stencil `levels` grids finer."""
        return self._repeat(self.one_level.prolong, stencil)

    def _repeat(self, move: Any, stencil: ArrayLike) -> NDArray[Any]:
        moved: Any = stencil
        for _ in range(self.levels):
            moved = move(moved)
        return np.asarray(moved)


def stencil_transfer_names() -> list[str]:
    """Return the names that :func:`named_map` knows.

    Examples
    --------
    >>> stencil_transfer_names()
    ['average', 'full-weighting', 'linear', 'power-law', 'power-law-joint', 'spectrum', 'unchanged']
    """
    return sorted([*TRANSFERS, *IMAGE_AWARE, UNCHANGED])


def named_map(
    transfer: AnyTransfer = "linear",
    width: int | Shape = 3,
    ndim: int = 2,
    factor: int | Shape = 2,
    *,
    levels: int = 1,
    stride: int | Shape = 1,
    closure: str = "exact",
    images: Any = None,
) -> AnyMap:
    """Return the map that moves stencils by `transfer`.

    Parameters
    ----------
    transfer : str, callable or Covariance
        One of :func:`stencil_transfer_names`; a function from the factor to a :class:`TransferPair`; or a
        covariance, such as ``PowerLaw(1.5)``, for the predictions over images that have it.
    width : int or tuple of int
        Taps per axis, odd; one for all axes or one each.
    ndim : int
        Number of grid axes ``d``.
    factor : int or tuple of int
        Coarsening factor of **one** level; an axis of factor 1 stays as it is.
    levels : int
        How many levels to go: ``factor=2, levels=2`` goes through the grid between, ``factor=4`` does
        not. A power law is taken to hold again on every grid.
    stride : int or tuple of int
        Of the convolution, which keeps it.
    closure : {"exact", "least-squares"}
        For pairs (R, P), as in :class:`StencilMap`.
    images : ndarray, shape (C, n_1, .., n_d, m), or an iterable of such
        For ``"spectrum"``: images on the **fine** grid, no labels.

    Returns
    -------
    object with ``restrict(stencil)`` and ``prolong(stencil)``

    Raises
    ------
    ClosureError
        If a pair does not close at this width, or images are coarser than the stencil is wide.
    RefmgError
        If the name is unknown, or ``"spectrum"`` comes without images.

    Examples
    --------
    >>> second_difference = [1.0, -2.0, 1.0]
    >>> for name in ("linear", "power-law", "unchanged"):
    ...     print(name, named_map(name, width=3, ndim=1).restrict(second_difference).round(3))
    linear [ 0.25 -0.5   0.25]
    power-law [ 0.385 -0.771  0.385]
    unchanged [ 1. -2.  1.]
    """
    if not isinstance(levels, int) or levels < 1:
        raise RefmgError(f"found levels = {levels!r}; expected 1 or more")
    if levels > 1 and (transfer == SPECTRUM or isinstance(transfer, Spectrum)):
        raise RefmgError(
            "'spectrum' knows one pair of grids, that of its images; expected levels=1: take the product of "
            "the factors, or one map a level with the images of that level"
        )
    one = _one_level(transfer, width, ndim, factor, stride, closure, images)
    return one if levels == 1 else LevelsMap(one, levels)


def _one_level(
    transfer: AnyTransfer,
    width: int | Shape,
    ndim: int,
    factor: int | Shape,
    stride: int | Shape,
    closure: str,
    images: Any,
) -> AnyMap:
    if transfer in (CALIBRATED, SYNTHETIC):
        raise RefmgError(
            f"{transfer!r} moves whole networks, by their features; expected a map of single stencils: "
            "take transfer_network, or another name"
        )
    if isinstance(transfer, str) and transfer not in stencil_transfer_names():
        raise RefmgError(one_of("transfer", transfer, stencil_transfer_names()))
    if transfer == UNCHANGED:
        return UnchangedMap(check_width(per_axis("width", width, ndim)))
    if transfer == JOINT:
        return JointMap(PowerLaw(), width, ndim, factor, stride)
    covariance = covariance_of(transfer, images)
    if covariance is not None:
        return PredictiveMap(covariance, width, ndim, factor, stride)
    assert not isinstance(transfer, Covariance)
    return StencilMap(width, ndim, transfer, factor, closure, stride)


def covariance_of(transfer: AnyTransfer, images: Any = None) -> Covariance | None:
    """Return the covariance that a transfer assumes of the images; None for those that assume none.

    Raises
    ------
    RefmgError
        If ``"spectrum"`` comes without images.
    """
    if transfer in (POWER_LAW, JOINT):
        return PowerLaw()
    if transfer == SPECTRUM:
        if images is None:
            raise RefmgError("'spectrum' needs images: images=x of shape (channels, fine grid, examples)")
        return Spectrum.of(images)
    return transfer if isinstance(transfer, Covariance) else None
