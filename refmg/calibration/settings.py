"""How a network is calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from refmg.stencil_map import CLOSURES
from refmg.stencil_maps import AnyTransfer, stencil_transfer_names
from refmg_backends import RefmgError, one_of


@dataclass(frozen=True)
class Calibration:
    """Settings of the transfer ``"calibrated"``.

    Parameters
    ----------
    prior : str, callable or Covariance
        The map from which the fitted stencils and weights keep no more distance than the images ask for;
        see :func:`refmg.named_map`.
    ridge : float
        Weight of that distance for stencils, in units of the mean square of one tap's input.
    classifier_ridge : float
        The same for the classifier's weights, in units of the mean square norm of an example's features.
    batch_size : int
        Images at a time.
    smoothness : float
        To the finer grid: weight of what a response has within coarse cells, over that of its means. The
        activation and the mean over cells commute where a response is smooth.
    kept_bytes : int
        For states of images, on every rank, that are kept from layer to layer; the states of further images
        are computed anew for each layer. It changes memory and time, and no bit of the result.

    Raises
    ------
    RefmgError
        If a ridge, the smoothness or the room is negative, or the classifier's ridge is 0: few images do
        not determine its weights.
    """

    prior: AnyTransfer = "power-law"
    ridge: float = 1e-2
    classifier_ridge: float = 1e-2
    batch_size: int = 128
    smoothness: float = 0.5
    kept_bytes: int = 2**30

    def __post_init__(self) -> None:
        """Refuse what is no least squares problem with one answer."""
        if not 0 <= self.ridge < float("inf") or not 0 < self.classifier_ridge < float("inf"):
            raise RefmgError(
                f"found ridge {self.ridge} and classifier_ridge {self.classifier_ridge}; expected finite "
                "numbers, the first of at least 0, the second positive"
            )
        if not 0 <= self.smoothness < float("inf"):
            raise RefmgError(f"found smoothness {self.smoothness}; expected a finite number of at least 0")
        if self.batch_size < 1:
            raise RefmgError(f"found batches of {self.batch_size} examples; expected 1 or more")
        if self.kept_bytes < 0:
            raise RefmgError(f"found kept_bytes {self.kept_bytes}; expected 0 or more")


class Options(Protocol):
    """What the options of every calibrated move of named layers have."""

    @property
    def closure(self) -> str:
        """One of :data:`refmg.stencil_map.CLOSURES`."""

    @property
    def prior(self) -> str:
        """A stencil-wise transfer."""

    @property
    def batch_size(self) -> int:
        """Images at a time."""


def check_options(options: Options) -> None:
    """Refuse a closure or prior that is unknown, weights that are negative and empty batches.

    Raises
    ------
    RefmgError
        If the options have one of these.
    """
    if options.closure not in CLOSURES:
        raise RefmgError(one_of("closure", options.closure, CLOSURES))
    if options.prior not in stencil_transfer_names():
        raise RefmgError(one_of("prior", options.prior, stencil_transfer_names()))
    for name in ("ridge", "smoothness", "classifier_ridge"):
        if not 0 <= getattr(options, name) < float("inf"):
            raise RefmgError(f"found {name} {getattr(options, name)}; expected a number of at least 0")
    if options.batch_size < 1:
        raise RefmgError(f"found batch_size {options.batch_size}; expected 1 or more")
