"""What an objective finds at one point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from refmg_backends.backend import Array

# From a vector to a symmetric matrix times it.
Product = Callable[[Array], Array]


@dataclass(frozen=True)
class Evaluation:
    """The parts of an objective.

    Attributes
    ----------
    loss : float
        Mean over the examples.
    regularizer : float
        Sum of the regularisers that depend on the free parameters.
    accuracy : float
        Fraction of examples whose largest logit is their class.
    """

    loss: float
    regularizer: float
    accuracy: float

    @property
    def objective(self) -> float:
        """Loss and regulariser together."""
        return self.loss + self.regularizer


def correct(xp: ModuleType, logits: Array, targets: Array) -> int:
    """Return how many examples have their largest logit at their class."""
    hits = xp.argmax(logits, axis=0) == xp.argmax(targets, axis=0)
    return int(xp.sum(xp.astype(hits, xp.int64)))
