"""Where a multilevel run is: all that it needs to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refmg.evaluation import Evaluation
from refmg.multilevel.level import Level
from refmg.network import Network
from refmg.optimization import Iteration, RuleState


@dataclass(frozen=True)
class Position:
    """After an iteration or a switch.

    Attributes
    ----------
    level : int
        Number of the level, from 0.
    done : int
        Number of the last finished iteration there; -1 before the first.
    network : Network
        As it is then.
    optimizer : RuleState or None
        What the optimiser remembers, see :class:`refmg.optimization.RuleState`.
    """

    level: int
    done: int
    network: Network
    optimizer: RuleState | None = None


@dataclass(frozen=True)
class LevelIteration:
    """One iteration on one level.

    Attributes
    ----------
    number : int
        Of the level, from 0.
    level : Level
        That it was on.
    iteration : Iteration
        What the optimiser reports.
    validation : Evaluation or None
        Loss and accuracy on the validation images after it, where there are any.
    """

    number: int
    level: Level
    iteration: Iteration
    validation: Evaluation | None

    @property
    def network(self) -> Network:
        """The network after it."""
        return self.iteration.network

    @property
    def position(self) -> Position:
        """From where a run goes on."""
        return Position(self.number, self.iteration.number, self.network, self.iteration.optimizer)

    def record(self) -> dict[str, Any]:
        """Return everything but network and optimiser, ready for JSON."""
        a, seen = self.network.architecture, self.validation
        found = {"level": self.number, "shape": list(a.shape), "layers": a.layers} | self.iteration.record()
        return found | {
            "validation": None if seen is None else seen.accuracy,
            "validation_loss": None if seen is None else seen.loss,
        }
