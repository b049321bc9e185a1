"""From gradient to step: SGD with momentum and Adam, as functions of their averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from refmg_backends import Backend
from refmg_backends.backend import Array


@dataclass(frozen=True)
class RuleState:
    """What a rule remembers of earlier steps.

    Attributes
    ----------
    averages : tuple of array, shape (n,)
        Of gradients, for Adam of their squares as well; empty before the first step.
    steps : int
        That were taken.

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> state = RuleState((np.ones(2),), 3)
    >>> sorted(state.as_arrays(get_backend("numpy")))
    ['average_0', 'steps']
    """

    averages: tuple[Array, ...] = ()
    steps: int = 0

    def as_arrays(self, backend: Backend) -> dict[str, np.ndarray]:
        """Return everything as named host arrays, to be saved."""
        named = {f"average_{i}": backend.to_numpy(a) for i, a in enumerate(self.averages)}
        return named | {"steps": np.asarray(self.steps)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], backend: Backend) -> RuleState:
        """Return the state that :meth:`as_arrays` named."""
        averages = [arrays[f"average_{i}"] for i in range(len(arrays) - 1)]
        return cls(tuple(backend.asarray(a) for a in averages), int(arrays["steps"]))


# From state and gradient to step and state.
Rule = Callable[[RuleState, Array], tuple[Array, RuleState]]


def momentum_rule(learning_rate: float, momentum: float) -> Rule:
    """Return SGD with heavy-ball momentum, PyTorch's convention (Polyak, 1964).

    Examples
    --------
    >>> rule = momentum_rule(0.1, 0.9)
    >>> step, state = rule(RuleState(), np.array([1.0]))
    >>> step, rule(state, np.array([1.0]))[0]
    (array([-0.1]), array([-0.19]))
    """

    def step(state: RuleState, gradient: Array) -> tuple[Array, RuleState]:
        average = momentum * state.averages[0] + gradient if state.averages else gradient
        return -learning_rate * average, RuleState((average,), state.steps + 1)

    return step


def adam_rule(xp: ModuleType, learning_rate: float, betas: tuple[float, float], safe: float = 1e-8) -> Rule:
    """Return Adam (Kingma and Ba, 2015).

    Examples
    --------
    >>> step, state = adam_rule(np, 0.1, (0.9, 0.999))(RuleState(), np.array([5.0]))
    >>> step.round(6), state.steps
    (array([-0.1]), 1)
    """
    b1, b2 = betas

    def step(state: RuleState, gradient: Array) -> tuple[Array, RuleState]:
        m, v = state.averages or (xp.zeros_like(gradient), xp.zeros_like(gradient))
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        count = state.steps + 1
        mean, square = m / (1 - b1**count), v / (1 - b2**count)
        return -learning_rate * mean / (xp.sqrt(square) + safe), RuleState((m, v), count)

    return step
