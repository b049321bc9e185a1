"""How a ResNet is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import cos, inf, pi
from numbers import Real
from typing import Any

from refmg.optimization.numbers import check_whole, whole_tuple
from refmg_backends import RefmgError, one_of

SCHEDULES = ("constant", "cosine", "steps")
PRECISIONS = ("full", "mixed")
NUMBERS = ("learning_rate", "momentum", "weight_decay", "factor", "statistics_momentum")


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

    Raises
    ------
    RefmgError
        If a number is out of range, or a name is unknown.

    Examples
    --------
    >>> training = ResNetTraining(schedule="steps", milestones=(2, 4), factor=0.5, learning_rate=1.0)
    >>> [training.rate(epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
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

    def __post_init__(self) -> None:
        """Refuse what is no method."""
        object.__setattr__(self, "milestones", whole_tuple("milestones", self.milestones))
        for what, name, known in (
            ("schedule", self.schedule, SCHEDULES),
            ("precision", self.precision, PRECISIONS),
        ):
            if name not in known:
                raise RefmgError(one_of(what, name, known))
        check_whole(self, ("epochs", "patience"), 1)
        for name in NUMBERS:
            if not isinstance(getattr(self, name), Real):
                raise RefmgError(f"found {name} = {getattr(self, name)!r}; expected a number")
        bounds = {
            "learning_rate": 0 < self.learning_rate < inf,
            "momentum": 0 <= self.momentum < 1,
            "weight_decay": 0 <= self.weight_decay < inf,
            "factor": 0 < self.factor < inf,
            "statistics_momentum": 0 < self.statistics_momentum <= 1,
        }
        for name, fits in bounds.items():
            if not fits:
                raise RefmgError(
                    f"found {name} = {getattr(self, name)}; expected a finite number, positive for a rate or "
                    "a factor, 0 or more for a decay, below 1 for a momentum"
                )

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + cos(pi * epoch / self.epochs))
        passed = sum(m <= epoch for m in self.milestones) if self.schedule == "steps" else 0
        return self.learning_rate * self.factor**passed

    @property
    def storage(self) -> str:
        """How features are kept for the way back, see :meth:`ResNet.loss_and_gradient`."""
        return "half" if self.precision == "mixed" else "full"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self) | {"milestones": list(self.milestones)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ResNetTraining:
        """Return the settings that :meth:`as_dict` described.

        Raises
        ------
        RefmgError
            If an entry is unknown.
        """
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise RefmgError(one_of("setting", min(unknown), cls.__dataclass_fields__))
        return cls(**values)
