"""Jacobians of time steps as explicit sparse matrices, one rule an integrator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from refmg.dynamics import halves
from refmg.explicit_layer import Matrix, layer_jacobians
from refmg.integrators import EulerStep, LeapfrogStep, RungeKuttaStep, VerletStep

# By the state before the step, and by the parameters (stencil, then bias) at each of its nodes.
StepJacobians = tuple[Matrix, list[Matrix]]


@singledispatch
def step_jacobians(step: Any, layers: Sequence[Any], S: NDArray[Any]) -> StepJacobians:
    """Return the derivatives of one step by its state and by the parameters at its nodes.

    Parameters
    ----------
    step : Step
        Of an integrator of refmg.
    layers : sequence of Layer
        One for each node.
    S : ndarray
        The state before the step.

    Returns
    -------
    scipy.sparse.csr_array, list of scipy.sparse.csr_array

    Raises
    ------
    TypeError
        For a step of another package.
    """
    raise TypeError(f"found a step of type {type(step).__name__}; expected one of refmg.integrators")


@step_jacobians.register
def _euler(step: EulerStep, layers: Sequence[Any], S: NDArray[Any]) -> StepJacobians:
    J, B = layer_jacobians(layers[0], S)
    return scipy.sparse.csr_array(_identity(S) + step.dt * J), [step.dt * B]


@step_jacobians.register
def _runge_kutta(step: RungeKuttaStep, layers: Sequence[Any], S: NDArray[Any]) -> StepJacobians:
    # Each stage's derivatives by (state, parameters of the three nodes), by the chain rule.
    dt, identity = step.dt, _identity(S)
    first, middle, last = layers
    J, B = layer_jacobians(first, S)
    zero = scipy.sparse.csr_array(B.shape)
    stages = [[J, B, zero, zero]]
    point, slopes = S, [first.apply(S)]
    for layer, node, factor in ((middle, 2, dt / 2), (middle, 2, dt / 2), (last, 3, dt)):
        point = S + factor * slopes[-1]
        J, B = layer_jacobians(layer, point)
        slopes.append(layer.apply(point))
        previous = stages[-1]
        chain = [J @ (factor * part) for part in previous]
        chain[0] = J + chain[0]
        chain[node] = chain[node] + B
        stages.append(chain)
    total = [dt / 6 * (a + 2 * b + 2 * c + d) for a, b, c, d in zip(*stages, strict=True)]
    return scipy.sparse.csr_array(identity + total[0]), [scipy.sparse.csr_array(part) for part in total[1:]]


@step_jacobians.register
def _leapfrog(step: LeapfrogStep, layers: Sequence[Any], S: NDArray[Any]) -> StepJacobians:
    Y, _ = halves(S)
    J, B = layer_jacobians(layers[0], Y)
    eye, dt, kick = _identity(Y), step.dt, step.kick
    by_state = scipy.sparse.block_array([[eye + dt * kick * J, dt * eye], [kick * J, eye]])
    return scipy.sparse.csr_array(by_state), [
        scipy.sparse.csr_array(scipy.sparse.vstack([dt * kick * B, kick * B]))
    ]


@step_jacobians.register
def _verlet(step: VerletStep, layers: Sequence[Any], S: NDArray[Any]) -> StepJacobians:
    # Three shears, each with its own node; their product is the step.
    total, parts, by_state = S, list[Matrix](), _identity(S)
    for factor, layer, whose in zip((step.kick, step.dt, step.last), layers, ("z", "y", "z"), strict=True):
        J, B = (_only(part, whose) for part in layer_jacobians(layer, total))
        shear = scipy.sparse.csr_array(_identity(S) + factor * J)
        parts = [scipy.sparse.csr_array(shear @ part) for part in parts] + [factor * B]
        by_state = scipy.sparse.csr_array(shear @ by_state)
        y, z = halves(factor * layer.apply(total))
        total = total + (np.concatenate([y, 0 * z]) if whose == "y" else np.concatenate([0 * y, z]))
    return by_state, parts


def _identity(S: NDArray[Any]) -> Matrix:
    return scipy.sparse.csr_array(scipy.sparse.eye_array(S.size))


def _only(J: Matrix, whose: str) -> Matrix:
    half = J.shape[0] // 2
    keep = np.repeat([whose == "y", whose == "z"], half).astype(float)
    return scipy.sparse.csr_array(scipy.sparse.diags_array(keep) @ J)
