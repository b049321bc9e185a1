"""A ResNet moved to another resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refmg.multilevel.switch import StencilNorm, SwitchPart
from refmg.resnet.network import ResNet
from refmg.stencil_maps import AnyTransfer
from refmg.transfer import Shape


@dataclass(frozen=True)
class ResNetTransferOptions:
    """How a ResNet is moved.

    Parameters
    ----------
    batch_norm : bool
        Re-estimate the batch-norm statistics on the images.
    closure : {"exact", "least-squares"}
        Of pairs (R, P), as in :class:`refmg.StencilMap`.
    prior : str
        For ``"calibrated"``: the transfer that gives the stencils to stay near to.
    ridge, classifier_ridge : float
        For ``"calibrated"``: weights of the priors, over the mean square of an input.
    batch_size : int
        Images at a time.
    """

    batch_norm: bool = True
    closure: str = "least-squares"
    prior: str = "unchanged"
    ridge: float = 0.1
    classifier_ridge: float = 0.1
    batch_size: int = 64


@dataclass(frozen=True)
class LayerFit:
    """How well a calibrated convolution repeats the old one's response.

    Attributes
    ----------
    name : str
    before, after : float
        Squares that are not predicted, over those of the response about its mean: with the prior, and
        with the new stencil.
    """

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class ResNetSwitch:
    """The report of a move: what was moved, kept, re-estimated.

    Attributes
    ----------
    old, new : tuple of int
        The two grids.
    transfer : str
    parts : tuple of SwitchPart
        ``"stencils"``, ``"pointwise"``, ``"batch-norm scales"``, ``"classifier"``, ``"momentum"`` and
        ``"batch-norm statistics"``.
    norms : tuple of StencilNorm
        Of every convolution.
    fits : tuple of LayerFit
        Of every calibrated convolution.
    images : int
        That were looked at; no labels.
    seconds : float
    """

    old: Shape
    new: Shape
    transfer: str
    parts: tuple[SwitchPart, ...]
    norms: tuple[StencilNorm, ...]
    fits: tuple[LayerFit, ...]
    images: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        raise NotImplementedError


def resnet_transfer_names() -> list[str]:
    """Return the names that :func:`transfer_resnet` knows."""
    raise NotImplementedError


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
        Unlabelled, on the host and on the **finer** of the two grids, prepared as the network wants them.
        Needed by ``"spectrum"``, by ``"calibrated"`` and for batch-norm statistics.
    options : ResNetTransferOptions, optional

    Raises
    ------
    RefmgError
        For an unknown name, grids of which neither is a multiple of the other, or missing images.
    """
    raise NotImplementedError
