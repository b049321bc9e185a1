"""What every optimiser reports after each iteration."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from refmg.evaluation import Evaluation
from refmg.network import Network
from refmg.optimization.rules import RuleState

# Passes through all layers, in products with a stencil: a tangent has K dY and dK Y, an adjoint K^T G and
# the gradient of the stencil.
FORWARD, TANGENT, ADJOINT = 1, 2, 2


@dataclass(frozen=True)
class Iteration:
    """One iteration of an optimiser.

    Attributes
    ----------
    number : int
        From 0; the last one of a resumed run goes on counting.
    network : Network
        The parameters after it.
    evaluation : Evaluation
        Loss, regulariser and accuracy on the training images after it.
    gradient_norms : dict of float
        Euclidean norms before the last step of each block, by block.
    cg_iterations : int
        Products with the Gauss-Newton matrix of the controls.
    step : float
        Length of the step in the controls, or of each step; 0 if there was none.
    classifier_steps : list of float
        Lengths of the Newton steps of the classifier, if it has a block of its own.
    seconds : float
        That the iteration took, without the evaluation where that is only for this report.
    work : int or None
        Examples that passed all layers: once for a forward pass, twice for a tangent or an adjoint. What
        storage recomputes is left out. None where the optimiser does not count.
    classifier_work : int or None
        Examples whose features met the classifier's weights or their transpose, once a product: one for
        logits, one for a cotangent, one for a gradient of the weights.
    optimizer : RuleState or None
        What the optimiser remembers beside the network, if it does.
    """

    number: int
    network: Network
    evaluation: Evaluation
    gradient_norms: dict[str, float]
    cg_iterations: int
    step: float
    seconds: float
    classifier_steps: list[float] = field(default_factory=list)
    peak_memory: int | None = field(default_factory=lambda: peak_memory())
    work: int | None = None
    classifier_work: int | None = None
    optimizer: RuleState | None = None

    @property
    def loss(self) -> float:
        """Mean loss on the training images."""
        return self.evaluation.loss

    def record(self) -> dict[str, Any]:
        """Return everything but network and optimiser, ready for JSON."""
        return {
            "iteration": self.number,
            "loss": self.loss,
            "regularizer": self.evaluation.regularizer,
            "accuracy": self.evaluation.accuracy,
            "gradient_norms": self.gradient_norms,
            "cg_iterations": self.cg_iterations,
            "control_step": self.step,
            "classifier_steps": self.classifier_steps,
            "seconds": self.seconds,
            "peak_memory": self.peak_memory,
            "work": self.work,
            "classifier_work": self.classifier_work,
        }


def peak_memory() -> int | None:
    """Return the largest resident memory of the process so far in bytes; None where it is not told."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit
