"""The state of a training run after an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refmg.optimization.rules import RuleState
from refmg.resnet.architecture import ResNetArchitecture
from refmg.resnet.network import ResNet, resnet_from_arrays
from refmg_backends import Backend, RefmgError

NUMBERS = ("epoch", "loss", "accuracy", "monitored", "best", "stale", "seconds", "images")
WHOLE = ("epoch", "stale", "images")
NET, OPTIMIZER, PROGRESS, REASON = "net.", "optimizer.", "progress", "reason"


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
    reason : str
        Why training ends here, in words; empty if it goes on.

    Examples
    --------
    >>> from refmg.resnet import random_resnet
    >>> net = random_resnet(ResNetArchitecture((8, 8), blocks=(1,), widths=(2,)), 0, backend="numpy")
    >>> state = ResNetEpoch(net, epoch=3, best=0.5, stale=2)
    >>> again = ResNetEpoch.from_arrays(net.architecture, state.as_arrays(), "numpy")
    >>> again.epoch, again.best, again.stale, again.finished
    (3, 0.5, 2, False)
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
    reason: str = ""

    @property
    def finished(self) -> bool:
        """Whether training ends here."""
        return bool(self.reason)

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as named host arrays, to be saved (as safetensors, say)."""
        arrays = {NET + name: array for name, array in self.net.as_arrays().items()}
        arrays |= {OPTIMIZER + k: v for k, v in self.optimizer.as_arrays(self.net.backend).items()}
        progress = np.array([getattr(self, name) for name in NUMBERS], dtype=np.float64)
        reason = np.frombuffer(self.reason.encode(), dtype=np.uint8)
        return arrays | {PROGRESS: progress, REASON: reason.copy()}

    @classmethod
    def from_arrays(
        cls,
        architecture: ResNetArchitecture,
        arrays: Mapping[str, np.ndarray],
        backend: Backend | str | None = None,
    ) -> ResNetEpoch:
        """Return the state that :meth:`as_arrays` named.

        Parameters
        ----------
        architecture : ResNetArchitecture
        arrays : mapping of str to ndarray
        backend : Backend or str, optional
            ``REFMG_BACKEND``, else NumPy.

        Raises
        ------
        RefmgError
            If something is missing, or does not fit the architecture.
        """
        if PROGRESS not in arrays or len(arrays[PROGRESS]) != len(NUMBERS):
            raise RefmgError(f"found no whole {PROGRESS!r} among the arrays; expected the state of an epoch")
        net = resnet_from_arrays(architecture, _below(NET, arrays), backend)
        numbers: dict[str, Any] = dict(zip(NUMBERS, map(float, arrays[PROGRESS]), strict=True))
        numbers |= {name: int(numbers[name]) for name in WHOLE}
        reason = np.asarray(arrays[REASON]).tobytes().decode()
        return cls(
            net, optimizer=_rule_state(_below(OPTIMIZER, arrays), net.backend), reason=reason, **numbers
        )

    def record(self) -> dict[str, Any]:
        """Return everything but network and momentum, ready for JSON."""
        return {name: getattr(self, name) for name in (*NUMBERS, REASON)}


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _rule_state(arrays: dict[str, np.ndarray], backend: Backend) -> RuleState:
    return RuleState.from_arrays(arrays, backend)
