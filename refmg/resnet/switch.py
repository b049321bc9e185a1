"""How a ResNet is moved to another resolution, and the report of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from refmg.calibration.settings import check_options
from refmg.multilevel.switch import StencilNorm, SwitchPart
from refmg.resnet.network import ResNet
from refmg.resnet.response_fit import LayerFit
from refmg.stencil_maps import UNCHANGED
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of

STRIDED = ("own", "plain")


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
    smoothness : float
        For ``"calibrated"`` to the finer grid: weight of what a response has within coarse cells, over
        the weight of its mean.
    classifier : bool
        For ``"calibrated"``: fit the classifier as well.
    batch_size : int
        Images at a time.
    strided : {"own", "plain"}
        Of stencil-wise transfers, for convolutions with a stride: ``"own"`` restricts their outputs, by the
        map for that stride, which no pair closes at width 3; ``"plain"`` restricts before outputs are
        dropped, by the map without a stride, which closes as that does.

    Raises
    ------
    RefmgError
        For a negative weight, an unknown name or a batch size below 1.
    """

    batch_norm: bool = True
    closure: str = "least-squares"
    prior: str = UNCHANGED
    ridge: float = 0.1
    classifier_ridge: float = 0.1
    smoothness: float = 0.1
    classifier: bool = True
    batch_size: int = 64
    strided: str = "own"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_options(self)
        if self.strided not in STRIDED:
            raise RefmgError(one_of("strided", self.strided, STRIDED))


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

    @property
    def largest_growth(self) -> float | None:
        """The largest growth of a stencil."""
        return max((n.growth for n in self.norms if n.growth is not None), default=None)

    def record(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "old": list(self.old),
            "new": list(self.new),
            "transfer": self.transfer,
            "parts": [asdict(part) for part in self.parts],
            "norms": [asdict(norm) | {"growth": norm.growth} for norm in self.norms],
            "largest_growth": self.largest_growth,
            "fits": [asdict(fit) for fit in self.fits],
            "images": self.images,
            "seconds": self.seconds,
        }


def resnet_norms(old: ResNet, new: ResNet) -> tuple[StencilNorm, ...]:
    """Return the norms of every stencil, before and after."""

    def norm(net: ResNet, name: str) -> float:
        return float(np.linalg.norm(net.backend.to_numpy(net.parameters[name]).astype(np.float64)))

    names = [f"{spec.name}.weight" for spec in old.architecture.convolutions()]
    return tuple(StencilNorm(name, norm(old, name), norm(new, name)) for name in names)


def resnet_parts(old: ResNet, new: ResNet, how: str) -> tuple[SwitchPart, ...]:
    """Return what became of every part; the numbers decide, to the last bit.

    Parameters
    ----------
    old, new : ResNet
    how : str
        In words, for what was moved.
    """
    specs = list(old.architecture.convolutions())
    wide = [f"{s.name}.weight" for s in specs if max(s.geometry.width) > 1]
    narrow = [f"{s.name}.weight" for s in specs if max(s.geometry.width) == 1]
    scales = [f"{s.norm}.{part}" for s in specs for part in ("weight", "bias")]
    groups = {
        "stencils": wide,
        "pointwise": narrow,
        "batch-norm scales": scales,
        "classifier": ["fc.weight", "fc.bias"],
    }
    parts = [_part(name, names, old, new, how) for name, names in groups.items()]
    moved = _differ(old.backend, old.statistics, new.statistics, list(old.statistics))
    statistics = ("re-estimated", "on unlabelled images") if moved else ("kept", "the same numbers")
    momentum = SwitchPart("momentum", "restarted", "the averages of SGD begin anew on every level")
    return (*parts, momentum, SwitchPart("batch-norm statistics", *statistics))


def _part(name: str, names: list[str], old: ResNet, new: ResNet, how: str) -> SwitchPart:
    if not names:
        return SwitchPart(name, "none", "none in this network")
    moved = _differ(old.backend, old.parameters, new.parameters, names)
    return SwitchPart(name, *(("moved", how) if moved else ("kept", "the same numbers")))


def _differ(backend: Any, old: dict[str, Any], new: dict[str, Any], names: list[str]) -> bool:
    host = backend.to_numpy
    return any(not np.array_equal(host(old[name]), host(new[name])) for name in names)
