"""Block coordinate descent (paper, section 4): Gauss-Newton for the controls, Newton for the classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from refmg.batches import Batch, Batches
from refmg.network import Network
from refmg.objective import ControlObjective
from refmg.optimization.classifier_block import ClassifierSteps, classifier_steps
from refmg.optimization.iteration import ADJOINT, FORWARD, TANGENT, Iteration
from refmg.optimization.newton import NewtonStep, newton_step
from refmg.optimization.settings import TrainingSettings, training_batches


@dataclass(frozen=True)
class Passes:
    """Passes of all examples beside those of the gradient: forward ones, and over the features."""

    forward: int
    features: int


ControlStep = Callable[
    [Network, Sequence[Batch], Sequence[Batch], TrainingSettings], tuple[ClassifierSteps, NewtonStep, Passes]
]


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
        zero), then the others as they end. The objective never rises.

    Raises
    ------
    RefmgError
        If images, labels and architecture do not fit, or a class has no example.
    """
    yield from alternate(_both_blocks, network, x, labels, settings, done)


def alternate(
    method: ControlStep,
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    settings: TrainingSettings,
    done: int,
) -> Iterator[Iteration]:
    """Repeat a method for both blocks after a first solve for the classifier; see its callers."""
    batches = training_batches(network, x, labels, settings.batch_size)
    m = batches.examples
    for number in range(done + 1, settings.iterations + 1):
        start, control = perf_counter(), None
        if number > 0:
            subsample = _subsample(batches, settings, number)
            block, control, passes = method(network, batches, subsample, settings)
            work = _work(control, passes, m, subsample.examples)
        else:
            block = classifier_steps(network, batches, settings)
            work = FORWARD * m, block.passes * m
        network = block.network
        yield _iteration(number, block, control, perf_counter() - start, work)


def _work(control: NewtonStep, passes: Passes, m: int, subsample: int) -> tuple[int, int]:
    """Return examples that passed all layers, and over whose features products went.

    Both for the gradient, the Gauss-Newton matrix and `passes`. Where layers need two products, for a tangent
    or a cotangent, the classifier needs one.
    """
    curvature = FORWARD + control.products * (TANGENT + ADJOINT)
    layers = (FORWARD * (1 + passes.forward) + ADJOINT) * m + curvature * subsample
    return layers, (2 + passes.features) * m + (1 + 2 * control.products) * subsample


def _iteration(
    number: int, block: ClassifierSteps, control: NewtonStep | None, seconds: float, work: tuple[int, int]
) -> Iteration:
    norms = {"classifier": block.steps[-1].gradient_norm}
    if control is not None:
        norms["controls"] = control.gradient_norm
    return Iteration(
        number=number,
        network=block.network,
        evaluation=block.evaluation,
        gradient_norms=norms,
        cg_iterations=control.cg.iterations if control else 0,
        step=control.step if control else 0.0,
        seconds=seconds,
        classifier_steps=[step.step for step in block.steps],
        work=work[0],
        classifier_work=work[1],
    )


def _subsample(batches: Batches, settings: TrainingSettings, number: int) -> Batches:
    # A generator of its own for each iteration: a resumed run draws what the whole run would have drawn.
    rng = np.random.default_rng([settings.seed, number])
    m = batches.examples
    chosen = np.sort(rng.choice(m, size=min(settings.hessian_examples, m), replace=False))
    return batches.take(chosen)


def _both_blocks(
    network: Network, batches: Sequence[Batch], subsample: Sequence[Batch], settings: TrainingSettings
) -> tuple[ClassifierSteps, NewtonStep, Passes]:
    network, step = control_step(network, batches, subsample, settings)
    block = classifier_steps(network, batches, settings)
    return block, step, Passes(step.evaluations + 1, step.evaluations + block.passes)


def control_step(
    network: Network, batches: Sequence[Batch], subsample: Sequence[Batch], settings: TrainingSettings
) -> tuple[Network, NewtonStep]:
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
    Network, NewtonStep
        The network after it, and the step.
    """
    objective = ControlObjective(network, batches, settings.regularization, settings.loss, settings.storage)
    start = objective.vector(network)
    value, gradient = objective.value_and_gradient(start)
    step = newton_step(
        network.backend.xp,
        objective.value,
        (start, value, gradient, objective.gauss_newton(start, subsample)),
        cg_iterations=settings.cg_iterations,
        cg_tolerance=settings.cg_tolerance,
    )
    return objective.network(step.x), step
