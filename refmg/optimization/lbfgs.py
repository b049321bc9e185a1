"""L-BFGS for all parameters at once, through SciPy."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import scipy.optimize

from refmg.evaluation import Evaluation
from refmg.network import Network
from refmg.objective import NetworkObjective
from refmg.optimization.iteration import Iteration
from refmg.optimization.scaling import usual_scale
from refmg.optimization.settings import TrainingSettings, training_batches


def lbfgs(
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    settings: TrainingSettings,
    callback: Callable[[Iteration], None] | None = None,
) -> Network:
    """Train by limited-memory BFGS, ``scipy.optimize.minimize(method="L-BFGS-B")``.

    Parameters
    ----------
    network : Network
        Where to start.
    x : ndarray, shape (C_in, n_1, .., n_d, m)
        Images on the host.
    labels : ndarray of int, shape (m,)
        Their classes.
    settings : TrainingSettings
        `iterations`, `batch_size`, `regularization`, `loss` and `storage` are used.
    callback : callable, optional
        Is given every iteration as it ends. The objective never rises.

    Returns
    -------
    Network

    Raises
    ------
    RefmgError
        If images, labels and architecture do not fit, or a class has no example.

    Notes
    -----
    Byrd, Lu, Nocedal and Zhu (1995); its line search meets Wolfe's conditions. In the variables of a usual
    network, see :func:`refmg.optimization.scaling.usual_scale`.
    """
    batches = training_batches(network, x, labels, settings.batch_size)
    objective = NetworkObjective(network, batches, settings.regularization, settings.loss, settings.storage)
    log = _Log(objective, callback)
    found = scipy.optimize.minimize(
        log.value_and_gradient,
        log.scale * network.backend.to_numpy(objective.vector(network)),
        jac=True,
        method="L-BFGS-B",
        callback=log.iteration,
        options={"maxiter": settings.iterations},
    )
    return objective.network(found.x / log.scale)


class _Log:
    """Between SciPy and the objective: remembers what was found where."""

    def __init__(self, objective: NetworkObjective, callback: Callable[[Iteration], None] | None) -> None:
        self.objective, self.callback = objective, callback
        self.number, self.start = 0, perf_counter()
        self.scale = objective.backend.to_numpy(usual_scale(objective.start)).astype(float)
        self.last: tuple[bytes, Evaluation, float] | None = None

    def value_and_gradient(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        evaluation, gradient = self.objective.evaluate_with_gradient(vector / self.scale)
        g = self.objective.backend.to_numpy(gradient).astype(float) / self.scale
        self.last = (vector.tobytes(), evaluation, float(np.linalg.norm(g)))
        return evaluation.objective, g

    def iteration(self, intermediate_result: Any) -> None:
        vector, seconds = np.asarray(intermediate_result.x), perf_counter() - self.start
        self.number += 1
        if self.callback is not None:
            if self.last is None or self.last[0] != vector.tobytes():
                self.value_and_gradient(vector)
            assert self.last is not None
            _, evaluation, norm = self.last
            network = self.objective.network(vector / self.scale)
            self.callback(Iteration(self.number, network, evaluation, {"all": norm}, 0, 1.0, seconds))
        self.start = perf_counter()
