"""The classifier's block: inexact Newton steps at fixed features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from refmg.batches import Batch, mapped, merged
from refmg.classifier import Classifier
from refmg.classifier_objective import ClassifierObjective
from refmg.evaluation import Evaluation
from refmg.network import Network
from refmg.optimization.newton import NewtonStep, newton_step
from refmg.optimization.settings import TrainingSettings

# Numbers in one product: few calls, but what the first pass reads, the second finds in the cache.
FEATURES = 1 << 19


@dataclass(frozen=True)
class ClassifierSteps:
    """The classifier after some Newton steps.

    Attributes
    ----------
    network : Network
        After them.
    evaluation : Evaluation
        Loss, all regularisers and accuracy after them.
    steps : list of NewtonStep
        As they were taken.
    """

    network: Network
    evaluation: Evaluation
    steps: list[NewtonStep]


def classifier_steps(
    network: Network, batches: Sequence[Batch], settings: TrainingSettings
) -> ClassifierSteps:
    """Take the inexact Newton steps in the classifier, at fixed features.

    Parameters
    ----------
    network : Network
        Where to start.
    batches : sequence of Batch
        Images and labels; the final features of all of them are kept in memory.
    settings : TrainingSettings
        How to train.

    Returns
    -------
    ClassifierSteps
    """
    xp, a, weights = network.backend.xp, network.architecture, settings.regularization
    propagation = network.propagation.prepared
    parts = mapped(network.backend, lambda batch: replace(batch, x=propagation.apply(batch.x)), batches)
    features = list(merged(network.backend, parts, FEATURES))
    objective = ClassifierObjective(a, features, weights, network.backend, settings.loss)
    current: Classifier = network.classifier
    steps: list[NewtonStep] = []
    for _ in range(settings.newton_steps):
        steps.append(_newton_classifier(objective, current, xp, settings))
        current = current.unflat(xp, steps[-1].x)
    found = objective.evaluate(current)
    total = found.regularizer + weights.value_of_controls(xp, network.controls, a.control_dt)
    return ClassifierSteps(network.with_classifier(current), replace(found, regularizer=total), steps)


def _newton_classifier(
    objective: ClassifierObjective, current: Classifier, xp: Any, settings: TrainingSettings
) -> NewtonStep:
    value, gradient, product = objective.derivatives(current)
    return newton_step(
        xp,
        lambda v: objective.value(current.unflat(xp, v)),
        (current.flat(xp), value, gradient, product),
        precondition=lambda v: objective.mass_inverse(current, v),
        cg_iterations=settings.newton_cg_iterations,
        cg_tolerance=settings.newton_cg_tolerance,
    )
