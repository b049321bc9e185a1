"""Training a ResNet: SGD with momentum and weight decay, a schedule, early stopping, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refmg.evaluation import Evaluation
from refmg.optimization.rules import RuleState
from refmg.resnet.architecture import ResNetArchitecture
from refmg.resnet.network import ResNet
from refmg_backends import Backend

# Images (in_channels, n_1, n_2, m), host or backend, and integer labels (m,) or one-hot (classes, m).
LabelledBatch = tuple[Any, Any]


@dataclass(frozen=True)
class ResNetTraining:
    """How to train.

    Parameters
    ----------
    learning_rate, momentum, weight_decay : float
        Of SGD, PyTorch's conventions; the decay acts on all parameters.
    schedule : {"constant", "cosine", "steps"}
        Of the learning rate, by epochs: ``"cosine"`` falls to 0 after `epochs`; ``"steps"`` multiplies by
        `factor` at every epoch of `milestones`.
    milestones : tuple of int
    factor : float
    epochs : int
        At most.
    patience : int
        Epochs without a lower loss after which training stops (the paper's rule: 10).
    precision : {"full", "mixed"}
        ``"mixed"`` keeps features for the way back in float16.
    statistics_momentum : float
        Of the running batch-norm statistics.
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    epochs: int = 100
    patience: int = 10
    precision: str = "full"
    statistics_momentum: float = 0.1

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        raise NotImplementedError


@dataclass(frozen=True)
class ResNetEpoch:
    """The state after an epoch: all that a resumed run needs, to the last bit.

    Attributes
    ----------
    net : ResNet
    epoch : int
        Number of the last finished epoch, from 0; -1 before the first.
    optimizer : RuleState
        Momentum.
    loss, accuracy : float
        Means over the epoch's training batches, each before its step.
    monitored : float
        What early stopping looks at: `loss`, or what the caller's monitor returned.
    best : float
        Lowest so far.
    stale : int
        Epochs since then.
    seconds : float
        That this epoch took, without the monitor.
    images : int
        Examples of this epoch.
    finished : bool
        Whether training ends here.
    reason : str
        Why, in words; empty before.
    """

    net: ResNet
    epoch: int = -1
    optimizer: RuleState = field(default_factory=RuleState)
    loss: float = float("nan")
    accuracy: float = float("nan")
    monitored: float = float("nan")
    best: float = float("inf")
    stale: int = 0
    seconds: float = 0.0
    images: int = 0
    finished: bool = False
    reason: str = ""

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as named host arrays, to be saved (as safetensors, say)."""
        raise NotImplementedError

    @classmethod
    def from_arrays(
        cls,
        architecture: ResNetArchitecture,
        arrays: Mapping[str, np.ndarray],
        backend: Backend | str | None = None,
    ) -> ResNetEpoch:
        """Return the state that :meth:`as_arrays` named."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """Return everything but network and momentum, ready for JSON."""
        raise NotImplementedError


def train_resnet(
    start: ResNet | ResNetEpoch,
    batches: Callable[[int], Iterable[LabelledBatch]],
    settings: ResNetTraining,
    monitor: Callable[[ResNet], float] | None = None,
) -> Iterator[ResNetEpoch]:
    """Train, and yield the state after every epoch until training is finished.

    Parameters
    ----------
    start : ResNet or ResNetEpoch
        A network, or the state of the last finished epoch of an interrupted run: the following epochs are
        the same, to the last bit, as without interruption.
    batches : callable
        From the number of an epoch to its batches. Order and augmentation must depend on that number (and
        a seed of the caller's) alone, for the sake of resumed runs.
    settings : ResNetTraining
    monitor : callable, optional
        From the network after an epoch to what early stopping shall look at, lower is better: the epoch's
        own training loss by default. Never hand in a validation split that shall stay unseen.

    Raises
    ------
    RefmgError
        If an epoch has no batch, shapes do not fit, or the loss is not finite.
    """
    raise NotImplementedError


def evaluate_resnet(net: ResNet, batches: Iterable[LabelledBatch]) -> Evaluation:
    """Return mean loss and accuracy in evaluation mode.

    Parameters
    ----------
    net : ResNet
    batches : iterable of pairs of images and labels
        As for :func:`train_resnet`.
    """
    raise NotImplementedError
