"""Everything that one may do with a trained network at another resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from refmg.torch import TransferOptions, transfer_model
from refmg_validation.model_study.network import SmallResNet

BASELINE = "unchanged + BN"
CALIBRATED = "calibrated + BN"
WITH_CLASSIFIER = " + classifier"
RESIZED = "images resized"
# Whether the classifier is adapted as well, by transfer.
TRANSFERS = {"unchanged": True, "linear": False, "average": False, "power-law": False, "calibrated": True}

Model = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Variant:
    """A network for the other resolution.

    Parameters
    ----------
    name : str
    model : callable
        From images to logits.
    seconds : float, optional
        Wall time of the transfer alone, without a run to warm up. None where nothing is moved. A variant
        with the old classifier has the seconds of the transfer that it is taken from, the fit of the
        classifier included.
    """

    name: str
    model: Model
    seconds: float | None = None


def jobs() -> list[str]:
    """Return what is done one after the other; each gives one or several variants."""
    return [RESIZED, *TRANSFERS]


def variants(
    source: SmallResNet, images: Tensor, direction: str, job: str, options: TransferOptions
) -> Iterator[Variant]:
    """Yield networks for the other resolution.

    Parameters
    ----------
    source : SmallResNet
        Trained.
    images : Tensor, shape (m, 3, n, n)
        Without labels, on the finer grid.
    direction : {"coarse", "fine"}
    job : str
        One of :func:`jobs`.
    options : TransferOptions
        Ridges and smoothness.
    """
    if job == RESIZED:
        yield Variant(RESIZED, _resized(source, 2 if direction == "coarse" else 0.5))
        return
    if job != "calibrated":
        plain = replace(options, batch_norm=False, classifier=False)
        moved, report = transfer_model(source, images[:2], 2, direction, job, plain)
        yield Variant(job, moved, report.seconds)
    adapted = replace(options, batch_norm=True, classifier=TRANSFERS[job])
    moved, report = transfer_model(source, images, 2, direction, job, adapted)
    assert isinstance(moved, SmallResNet)
    if TRANSFERS[job]:
        yield Variant(f"{job} + BN{WITH_CLASSIFIER}", moved, report.seconds)
        moved = _with_classifier_of(source, moved)
    yield Variant(f"{job} + BN", moved, report.seconds)


def _resized(source: nn.Module, scale: float) -> Model:
    if scale < 1:
        return lambda x: source(F.avg_pool2d(x, round(1 / scale)))
    return lambda x: source(F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False))


def _with_classifier_of(source: SmallResNet, moved: SmallResNet) -> SmallResNet:
    """Return a copy with the old classifier: no layer depends on it."""
    copy = deepcopy(moved)
    copy.classifier.load_state_dict(source.classifier.state_dict())
    return copy


def predictions(model: Model, images: Tensor, batch: int = 100) -> Tensor:
    """Return the predicted classes, shape (m,)."""
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in images.split(batch)])
