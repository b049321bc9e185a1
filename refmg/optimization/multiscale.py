"""Stochastic descent with multiscale gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from refmg.network import Network
from refmg.objective import NetworkObjective
from refmg.optimization.allocation import optimal_examples, step_cost
from refmg.optimization.iteration import ADJOINT, FORWARD, Iteration
from refmg.optimization.multiscale_gradient import GradientEstimate, MultiscaleGradient
from refmg.optimization.numbers import is_whole
from refmg.optimization.rules import RuleState
from refmg.optimization.scaling import usual_scale
from refmg.optimization.settings import training_batches
from refmg.optimization.stochastic import PRODUCTS, StochasticSettings
from refmg.stencil_maps import AnyTransfer
from refmg.transfer import Shape
from refmg_backends import RefmgError


@dataclass(frozen=True)
class MultiscaleSettings:
    """How to train by multiscale gradients.

    Parameters
    ----------
    coarser : tuple of tuple of int
        The coarser grids, each dividing the one before.
    examples : tuple of int, optional
        Batch of each term, finest difference first. By default they are allocated at the start of each
        epoch from measured variances, so that a step costs ``stochastic.examples`` fine gradients.
    transfer : str, callable or Covariance
        How parameters are moved, see :class:`refmg.ParameterMove`.
    pilot : int
        Examples from which the variances are measured.
    stochastic : StochasticSettings
        Rule, rate, epochs and all else; an epoch is the work of one pass on the finest grid.

    Raises
    ------
    RefmgError
        If the sizes are not one a term, or a number is out of range.

    Examples
    --------
    >>> MultiscaleSettings(((14, 14), (7, 7)), examples=(8, 32, 128)).examples
    (8, 32, 128)
    """

    coarser: tuple[Shape, ...]
    examples: tuple[int, ...] | None = None
    transfer: AnyTransfer = "linear"
    pilot: int = 32
    stochastic: StochasticSettings = field(default_factory=StochasticSettings)

    def __post_init__(self) -> None:
        """Refuse what is no method."""
        terms, sizes = len(self.coarser) + 1, self.examples
        if sizes is not None and (len(sizes) != terms or not all(is_whole(n) and n >= 1 for n in sizes)):
            raise RefmgError(
                f"found batches of {self.examples} examples; expected {terms}, one a term, each 1 or more"
            )
        if not is_whole(self.pilot) or self.pilot < 2:
            raise RefmgError(f"found pilot = {self.pilot}; expected 2 or more examples to measure variances")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON.

        Raises
        ------
        RefmgError
            If the transfer has no name.
        """
        if not isinstance(self.transfer, str):
            raise RefmgError(f"found the transfer {self.transfer!r}; expected a name, which JSON can hold")
        return {
            "coarser": [list(shape) for shape in self.coarser],
            "examples": None if self.examples is None else list(self.examples),
            "transfer": self.transfer,
            "pilot": self.pilot,
            "stochastic": self.stochastic.as_dict(),
        }


@dataclass(frozen=True)
class MultiscaleIteration(Iteration):
    """One epoch of :func:`multiscale_descent`.

    Attributes
    ----------
    examples : tuple of int
        Batch of each term, finest difference first.
    steps : int
        That were taken.
    cost : float
        Of steps and measured variances, in gradients of one example on the finest grid.
    """

    examples: tuple[int, ...] = ()
    steps: int = 0
    cost: float = 0.0

    def record(self) -> dict[str, Any]:
        """Return everything but the network, ready for JSON."""
        return super().record() | {"examples": list(self.examples), "steps": self.steps, "cost": self.cost}


def multiscale_descent(
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    settings: MultiscaleSettings,
    done: int = -1,
    state: RuleState | None = None,
) -> Iterator[MultiscaleIteration]:
    """Train all parameters at once by multiscale gradients.

    Parameters
    ----------
    network : Network
        Where to start, on the finest grid.
    x : ndarray, shape (C_in, n_1, .., n_d, m)
        Images on the host, on the finest grid.
    labels : ndarray of int, shape (m,)
        Their classes.
    settings : MultiscaleSettings
        How to train.
    done : int
        The number of the last finished epoch, to resume with the network and the state that it gave: the
        following epochs are the same, to the last bit, as without interruption.
    state : RuleState, optional
        ``Iteration.optimizer`` of that epoch.

    Yields
    ------
    MultiscaleIteration
        One an epoch: steps that cost at most m fine gradients together (one step at least); `seconds`
        leave out the evaluation on all images. `gradient_norms` has the last step's whole and terms.

    Raises
    ------
    RefmgError
        If images, labels, architecture and grids do not fit, or a class has no example.

    Notes
    -----
    Rule and variables as in :func:`refmg.optimization.stochastic_descent`. The regularisers' gradient is
    exact and on the finest grid; only the loss is estimated.
    """
    s = settings.stochastic
    batches = training_batches(network, x, labels, s.batch_size)
    whole = NetworkObjective(network, batches, s.regularization, s.loss, s.storage)
    estimator = MultiscaleGradient(network, batches, settings.coarser, settings.transfer, s.loss, s.storage)
    rule, scale, state = s.rule(network.backend.xp), usual_scale(network), state or RuleState()
    for epoch in range(done + 1, s.epochs):
        # A generator of its own for each epoch: a resumed run draws what the whole run would have drawn.
        start, rng = perf_counter(), np.random.default_rng([s.seed, epoch])
        sizes, cost = _sizes(estimator, network, settings, rng)
        each = step_cost(sizes, estimator.costs)
        steps = max(1, int((estimator.examples - cost) // each))
        for _ in range(steps):
            found, vector = estimator.estimate(network, rng, sizes), whole.vector(network)
            gradient = found.gradient + whole.penalty_product(vector)
            step, state = rule(state, gradient / scale)
            network = whole.network(vector + step / scale)
        seconds = perf_counter() - start
        norms = {"all": float(network.backend.xp.sum(gradient * gradient)) ** 0.5} | _norms(found)
        evaluation = whole.evaluate(whole.vector(network))
        cost += steps * each
        yield MultiscaleIteration(
            epoch, network, evaluation, norms, 0, s.learning_rate, seconds,
            work=round((FORWARD + ADJOINT) * cost), classifier_work=round(PRODUCTS * cost),
            optimizer=state, examples=sizes, steps=steps, cost=cost,
        )  # fmt: skip


def _sizes(
    estimator: MultiscaleGradient, network: Network, settings: MultiscaleSettings, rng: np.random.Generator
) -> tuple[tuple[int, ...], float]:
    """Return the sizes of the batches and what it cost to find them."""
    if settings.examples is not None:
        return settings.examples, 0.0
    chosen = rng.choice(estimator.examples, min(settings.pilot, estimator.examples), replace=False)
    variances, _ = estimator.variances(network, chosen)
    # One gradient on every grid serves all terms.
    cost = len(chosen) * sum(estimator.own_costs)
    budget = settings.stochastic.examples
    return optimal_examples(variances, estimator.costs, budget, estimator.examples), cost


def _norms(found: GradientEstimate) -> dict[str, float]:
    return {" x ".join(map(str, term.shape)): term.norm for term in found.terms}
