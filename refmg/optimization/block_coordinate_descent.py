"""Block coordinate descent over controls and classifier (paper, section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from refmg.classifier import Classifier
from refmg.network import Network
from refmg.objective import Batch, ClassifierObjective, ControlObjective, make_batches
from refmg.optimization.newton import NewtonStep, newton_step
from refmg.regularization import Regularization
from refmg_backends import RefmgError


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Parameters
    ----------
    iterations : int
        Of block coordinate descent; the paper takes 20.
    newton_steps : int
        Of the classifier in each iteration; the paper takes 5.
    hessian_examples : int
        Size of the subsample for the Gauss-Newton matrix, drawn anew each iteration.
    cg_iterations, cg_tolerance
        For the Gauss-Newton step.
    newton_cg_iterations, newton_cg_tolerance
        For each Newton step of the classifier.
    batch_size : int
        Examples propagated at a time; changes memory and speed, not the method.
    regularization : Regularization
        Weights of the regularisers.
    seed : int
        Of the initial stencils and of the subsamples.

    Raises
    ------
    RefmgError
        If a number is out of range.
    """

    iterations: int = 20
    newton_steps: int = 5
    hessian_examples: int = 1000
    cg_iterations: int = 10
    cg_tolerance: float = 1e-2
    newton_cg_iterations: int = 10
    newton_cg_tolerance: float = 1e-2
    batch_size: int = 128
    regularization: Regularization = field(default_factory=Regularization)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that make no method."""
        for name in (
            "newton_steps",
            "hessian_examples",
            "cg_iterations",
            "newton_cg_iterations",
            "batch_size",
        ):
            if getattr(self, name) < 1:
                raise RefmgError(f"found {name} = {getattr(self, name)}; expected 1 or more")
        if self.iterations < 0 or self.seed < 0:
            raise RefmgError(
                f"found iterations = {self.iterations} and seed = {self.seed}; expected neither negative"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Iteration:
    """One iteration of block coordinate descent.

    Attributes
    ----------
    number : int
        0 for the first classifier, before any Gauss-Newton step.
    network : Network
        The parameters after it.
    loss : float
        Objective after it, the regulariser of the controls left out.
    control_step : float
        Length of the Gauss-Newton step; 0 in iteration 0 or when the line search failed.
    classifier_steps : list of float
        Lengths of the Newton steps.
    """

    number: int
    network: Network
    loss: float
    control_step: float
    classifier_steps: list[float]

    def record(self) -> dict[str, Any]:
        """Return everything but the network, ready for JSON."""
        return {
            "iteration": self.number,
            "loss": self.loss,
            "control_step": self.control_step,
            "classifier_steps": self.classifier_steps,
        }


def block_coordinate_descent(
    network: Network, x: np.ndarray, labels: np.ndarray, settings: TrainingSettings, done: int = -1
) -> Iterator[Iteration]:
    """Train: each iteration is one Gauss-Newton step, then Newton steps for the classifier.

    Parameters
    ----------
    network : Network
        Where to start.
    x : ndarray, shape (C_in, n_1, .., n_d, m)
        Images on the host.
    labels : ndarray of int, shape (m,)
        Their classes.
    settings : TrainingSettings
        How to train.
    done : int
        The number of the last finished iteration, to resume with the network it gave: the following
        iterations are the same, to the last bit, as without interruption.

    Yields
    ------
    Iteration
        Number 0, which trains the classifier alone (at zero weights the gradient of the controls is
        zero), then the others as they end.

    Raises
    ------
    RefmgError
        If images, labels and architecture do not fit.
    """
    a, dtype = network.architecture, str(network.backend.to_numpy(network.classifier.mu).dtype)
    batches = make_batches(x, labels, a.classes, settings.batch_size, network.backend, dtype)
    for number in range(done + 1, settings.iterations + 1):
        length = 0.0
        if number > 0:
            subsample = _subsample(x, labels, settings, number, network, dtype)
            network, length = control_step(network, batches, subsample, settings)
        network, steps = classifier_steps(network, batches, settings)
        yield Iteration(number, network, steps[-1].value, length, [step.step for step in steps])


def _subsample(
    x: np.ndarray, labels: np.ndarray, settings: TrainingSettings, number: int, network: Network, dtype: str
) -> list[Batch]:
    # A generator of its own for each iteration: a resumed run draws what the whole run would have drawn.
    rng = np.random.default_rng([settings.seed, number])
    size = min(settings.hessian_examples, len(labels))
    chosen = np.sort(rng.choice(len(labels), size=size, replace=False))
    classes = network.architecture.classes
    return make_batches(x[..., chosen], labels[chosen], classes, settings.batch_size, network.backend, dtype)


def control_step(
    network: Network, batches: Sequence[Batch], subsample: Sequence[Batch], settings: TrainingSettings
) -> tuple[Network, float]:
    """Take one Gauss-Newton step in the controls.

    Parameters
    ----------
    network : Network
        Where to start.
    batches, subsample : sequence of Batch
        For value and gradient, and for the Gauss-Newton matrix.
    settings : TrainingSettings
        How to train.

    Returns
    -------
    Network, float
        The network after it, and the step length.
    """
    xp, controls = network.backend.xp, network.controls
    objective = ControlObjective(
        network.architecture, batches, network.classifier, settings.regularization, network.backend
    )
    value, gradient = objective.value_and_gradient(controls)
    point = (controls.flat(xp), value, gradient, objective.gauss_newton(controls, subsample))
    step = newton_step(
        xp,
        lambda v: objective.value(controls.unflat(xp, v)),
        point,
        cg_iterations=settings.cg_iterations,
        cg_tolerance=settings.cg_tolerance,
    )
    return network.with_controls(controls.unflat(xp, step.x)), step.step


def classifier_steps(
    network: Network, batches: Sequence[Batch], settings: TrainingSettings
) -> tuple[Network, list[NewtonStep]]:
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
    Network, list of NewtonStep
    """
    xp, a = network.backend.xp, network.architecture
    propagation = network.propagation.prepared
    features = list(network.backend.map(lambda batch: replace(batch, x=propagation.apply(batch.x)), batches))
    objective = ClassifierObjective(a, features, settings.regularization, network.backend)
    current: Classifier = network.classifier
    steps: list[NewtonStep] = []
    for _ in range(settings.newton_steps):
        steps.append(_newton_classifier(objective, current, xp, settings))
        current = current.unflat(xp, steps[-1].x)
    return network.with_classifier(current), steps


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
