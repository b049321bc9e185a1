"""Variable projection: the classifier is eliminated, the controls see its optimum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from refmg.batches import Batch
from refmg.network import Network
from refmg.objective import ControlObjective
from refmg.optimization.block_coordinate_descent import Passes, alternate
from refmg.optimization.classifier_block import ClassifierSteps, classifier_steps
from refmg.optimization.iteration import Iteration
from refmg.optimization.newton import NewtonStep, newton_step
from refmg.optimization.settings import TrainingSettings
from refmg_backends.backend import Array


def variable_projection(
    network: Network, x: np.ndarray, labels: np.ndarray, settings: TrainingSettings, done: int = -1
) -> Iterator[Iteration]:
    r"""Train by Gauss-Newton on :math:`\phi(\theta) = \min_W \Phi(\theta, W)`.

    Parameters
    ----------
    network, x, labels, settings, done
        As for :func:`block_coordinate_descent`.

    Yields
    ------
    Iteration
        As :func:`block_coordinate_descent`; the objective never rises.

    Raises
    ------
    RefmgError
        If images, labels and architecture do not fit, or a class has no example.

    Notes
    -----
    At the minimum over W the gradient of the projected objective is the partial one,
    :math:`\nabla \phi = \partial_\theta \Phi(\theta, W(\theta))`, and the Gauss-Newton matrix is that of
    fixed W, as Meganet's ``dnnVarProObjFctn`` takes it. Unlike block coordinate descent, every trial of
    the line search solves for the classifier again (by ``newton_steps`` inexact Newton steps from the
    last one): longer steps, each dearer. Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973); Newman,
    Ruthotto, Hart and van Bloemen Waanders, SIAM J. Math. Data Sci. 3 (2021).
    """
    yield from alternate(_projected_step, network, x, labels, settings, done)


def _projected_step(
    network: Network, batches: Sequence[Batch], subsample: Sequence[Batch], settings: TrainingSettings
) -> tuple[ClassifierSteps, NewtonStep, Passes]:
    objective = ControlObjective(network, batches, settings.regularization, settings.loss, settings.storage)
    start, xp = objective.vector(network), network.backend.xp
    evaluation, gradient = objective.evaluate_with_gradient(start)
    weights = settings.regularization.of_weights(xp, network.classifier.W, network.architecture.grid)
    value = evaluation.objective + 0.5 * float(xp.sum(network.classifier.W * weights))
    last, features = list[ClassifierSteps](), 0

    def projected(vector: Array) -> float:
        nonlocal features
        last.append(classifier_steps(objective.network(vector), batches, settings))
        del last[:-1]
        features += last[-1].passes
        return last[-1].evaluation.objective

    step = newton_step(
        xp,
        projected,
        (start, value, gradient, objective.gauss_newton(start, subsample)),
        cg_iterations=settings.cg_iterations,
        cg_tolerance=settings.cg_tolerance,
    )
    # The accepted trial is the last one; without any, the classifier alone goes on.
    if step.step:
        return last[-1], step, Passes(step.evaluations, features)
    block = classifier_steps(network, batches, settings)
    return block, step, Passes(step.evaluations + 1, features + block.passes)
