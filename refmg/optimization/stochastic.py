"""Stochastic gradients, for comparison: SGD with momentum, and Adam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

from refmg.losses import named_loss
from refmg.network import Network
from refmg.objective import NetworkObjective
from refmg.optimization.iteration import ADJOINT, FORWARD, Iteration
from refmg.optimization.numbers import check_whole
from refmg.optimization.rules import Rule, RuleState, adam_rule, momentum_rule
from refmg.optimization.scaling import usual_scale
from refmg.optimization.settings import training_batches
from refmg.regularization import Regularization
from refmg.trajectory import check_storage
from refmg_backends import RefmgError, one_of

METHODS = ("sgd", "adam")
PRODUCTS = 3  # of a gradient with the classifier: logits, cotangent, and the gradient of the weights


@dataclass(frozen=True)
class StochasticSettings:
    """How to train by stochastic gradients.

    Parameters
    ----------
    method : {"sgd", "adam"}
        SGD with (heavy-ball) momentum, PyTorch's convention, or Adam.
    learning_rate : float
        Constant.
    momentum : float
        Of SGD.
    betas : tuple of float
        Decay of Adam's averages.
    epochs, examples : int
        Passes over the images; examples of one step.
    batch_size : int
        Examples propagated at a time; changes speed, not the method.
    regularization : Regularization
        Weights of the regularisers.
    loss : str
        See :func:`refmg.losses.named_loss`.
    storage : {"all", "checkpoint", "reversible"}
        What is kept for the sensitivities.
    seed : int
        Of the order of the examples.

    Raises
    ------
    RefmgError
        If a number is out of range or no whole one where it counts, or a name is unknown.
    """

    method: str = "adam"
    learning_rate: float = 1e-2
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    epochs: int = 10
    examples: int = 128
    batch_size: int = 64
    regularization: Regularization = field(default_factory=Regularization)
    loss: str = "softmax"
    storage: str = "all"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no method."""
        if self.method not in METHODS:
            raise RefmgError(one_of("method", self.method, METHODS))
        if not 0 < self.learning_rate < float("inf"):
            raise RefmgError(
                f"found learning_rate = {self.learning_rate}; expected it to be positive and finite"
            )
        check_whole(self, ("epochs", "examples", "batch_size"), 1)
        check_whole(self, ("seed",), 0)
        if not all(0 <= beta < 1 for beta in (self.momentum, *self.betas)):
            raise RefmgError(f"found momentum = {self.momentum}, betas = {self.betas}; expected [0, 1)")
        named_loss(self.loss)
        check_storage(self.storage)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self) | {"betas": list(self.betas)}

    def rule(self, xp: ModuleType) -> Rule:
        """Return the rule, which is given its state."""
        if self.method == "adam":
            return adam_rule(xp, self.learning_rate, self.betas)
        return momentum_rule(self.learning_rate, self.momentum)


def stochastic_descent(
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    settings: StochasticSettings,
    done: int = -1,
    state: RuleState | None = None,
) -> Iterator[Iteration]:
    """Train all parameters at once by stochastic gradients.

    Parameters
    ----------
    network : Network
        Where to start.
    x : ndarray, shape (C_in, n_1, .., n_d, m)
        Images on the host.
    labels : ndarray of int, shape (m,)
        Their classes.
    settings : StochasticSettings
        How to train.
    done : int
        The number of the last finished epoch, to resume with the network and the state that it gave: the
        following epochs are the same, to the last bit, as without interruption.
    state : RuleState, optional
        ``Iteration.optimizer`` of that epoch.

    Yields
    ------
    Iteration
        One an epoch; its `seconds` leave out the evaluation on all images.

    Raises
    ------
    RefmgError
        If images, labels and architecture do not fit, or a class has no example.

    Notes
    -----
    Kingma and Ba, "Adam" (2015); Polyak (1964). The steps are taken in the variables of a usual
    network, see :func:`refmg.optimization.scaling.usual_scale`.
    """
    batches = training_batches(network, x, labels, settings.batch_size)
    whole = NetworkObjective(network, batches, settings.regularization, settings.loss, settings.storage)
    rng, rule = np.random.default_rng(settings.seed), settings.rule(network.backend.xp)
    m, scale, state = batches.examples, usual_scale(network), state or RuleState()
    for epoch in range(settings.epochs):
        start, order = perf_counter(), rng.permutation(m)
        if epoch <= done:
            continue  # its order is drawn, so that the next one is what it would have been
        for first in range(0, m, settings.examples):
            part = batches.take(np.sort(order[first : first + settings.examples]))
            objective = NetworkObjective(
                network, part, settings.regularization, settings.loss, settings.storage
            )
            vector = objective.vector(network)
            gradient = objective.gradient(vector)
            step, state = rule(state, gradient / scale)
            network = objective.network(vector + step / scale)
        seconds = perf_counter() - start
        norm = float(network.backend.xp.sum(gradient * gradient)) ** 0.5
        evaluation = whole.evaluate(whole.vector(network))
        yield Iteration(
            number=epoch,
            network=network,
            evaluation=evaluation,
            gradient_norms={"all": norm},
            cg_iterations=0,
            step=settings.learning_rate,
            seconds=seconds,
            work=(FORWARD + ADJOINT) * m,
            classifier_work=PRODUCTS * m,
            optimizer=state,
        )
