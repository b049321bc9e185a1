"""The classifier's block: inexact Newton steps at fixed features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from refmg.batches import Batch, division_of, examples_in, mapped
from refmg.classifier_objective import ClassifierObjective
from refmg.classifier_point import ClassifierLine, ClassifierPoint
from refmg.evaluation import Evaluation
from refmg.network import Network
from refmg.optimization.newton import NewtonStep, newton_step
from refmg.optimization.settings import TrainingSettings
from refmg_backends.backend import Array


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

    @property
    def passes(self) -> int:
        """Passes over the features that these steps took, see the notes of :func:`classifier_steps`."""
        # Without a trial nobody asked for the logits along the direction.
        return 1 + sum(1 + 2 * step.products + (step.evaluations > 0) for step in self.steps)


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

    Notes
    -----
    One product with the features for the logits at the start; then for each step one for the gradient, two
    for each iteration of conjugate gradients and one for the logits of the direction. Trials of the line
    search need none, nor does the next point: logits are linear in the classifier.
    """
    xp, a, weights = network.backend.xp, network.architecture, settings.regularization
    propagation = network.propagation.prepared

    def features(batch: Batch) -> Batch:
        return replace(batch, x=propagation.apply(batch.x))

    parts = mapped(network.backend, features, batches, propagation.lanes)
    m = examples_in(batches)
    objective = ClassifierObjective(
        a, parts, weights, network.backend, settings.loss, m, division_of(batches)
    )
    # Logits are found afresh here, so that the rounding of updated ones does not outlive these steps.
    point, steps = objective.at(network.classifier), list[NewtonStep]()
    for _ in range(settings.newton_steps):
        step, point = _newton_classifier(point, settings)
        steps.append(step)
    found = point.evaluation
    total = found.regularizer + weights.value_of_controls(xp, network.controls, a.control_dt)
    return ClassifierSteps(
        network.with_classifier(point.classifier), replace(found, regularizer=total), steps
    )


def _newton_classifier(
    point: ClassifierPoint, settings: TrainingSettings
) -> tuple[NewtonStep, ClassifierPoint]:
    """Return the step and the point that it reaches, whose logits the line search has found."""
    objective, current, lines = point.objective, point.classifier, list[ClassifierLine]()
    xp, (value, gradient, product) = objective.xp, point.derivatives()

    def along(direction: Array) -> ClassifierLine:
        lines.append(point.along(direction))
        return lines[-1]

    step = newton_step(
        xp,
        lambda v: objective.value(current.unflat(xp, v)),
        (current.flat(xp), value, gradient, product),
        precondition=lambda v: objective.mass_inverse(current, v),
        cg_iterations=settings.newton_cg_iterations,
        cg_tolerance=settings.newton_cg_tolerance,
        along=along,
    )
    return step, lines[-1].at(step.step)
