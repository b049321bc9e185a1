"""Checks of optimal control: sensitivities against one sparse system, and against the function itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from refmg import Batches, ControlObjective, NetworkObjective, Regularization, constraint_jacobian, named_loss
from refmg.checks import complex_step_test, dot_test, order_test, taylor_test
from refmg.integrators import INTEGRATORS
from refmg.losses import LOSSES, as_targets
from refmg.propagation import Propagation
from refmg.stability import symbols_checked
from refmg.trajectory import linearized
from refmg_validation.checks.control_problem import EPS, PAIRS, ControlProblem
from refmg_validation.checks.finding import Finding

WEIGHTS = Regularization(0.1, 0.2, 0.3)
ROUNDING = "64 N C k^d eps"


def control_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    for layer, integrator in PAIRS:
        problem = ControlProblem(layer, integrator, seed=seed)
        yield from all_at_once(problem)
        yield from against_the_function(problem)
        yield from storages(problem)
    for name in INTEGRATORS:
        yield observed_order(name, seed)
    for name in LOSSES:
        yield from loss_derivatives(name, seed)
    yield batch_size(seed)
    for layer in ("residual", "symmetric", "hamiltonian"):
        yield symbol_and_eigenvalues(layer, seed)


def difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return ``|a - b| / |b|`` in the Euclidean norm."""
    return float(np.linalg.norm(np.ravel(a) - np.ravel(b)) / np.linalg.norm(b))


def all_at_once(p: ControlProblem) -> Iterator[Finding]:
    """Compare time stepping with substitution in the constraint Jacobian."""
    label, system = f"{p.layer}, {p.integrator}", constraint_jacobian(p.network, p.x)
    trajectory, d = linearized(p.network.propagation, p.x), p.direction.flat(np)
    along = Propagation(p.architecture, p.direction, p.network.backend)
    P = np.random.default_rng(p.seed + 3).normal(size=trajectory.Y.shape)
    tangent, adjoint = trajectory.tangent(along), trajectory.adjoint(P).flat(np)
    yield Finding(f"{label}: tangent", difference(tangent, system.tangent(d)), p.bound, ROUNDING)
    yield Finding(f"{label}: adjoint", difference(adjoint, system.adjoint(P.ravel())), p.bound, ROUNDING)
    objective = ControlObjective(p.network, p.batches)
    at, W = objective.vector(p.network), p.network.classifier
    volume, m, place = p.architecture.grid.cell_volume, p.x.shape[-1], p.network.backend
    point = named_loss("softmax").linearize(np, W.logits(place, volume, trajectory.Y), p.batches[0].targets)
    _, gradient = objective.value_and_gradient(at)
    reduced = system.adjoint(W.logits_adjoint(place, volume, point.gradient / m).ravel())
    yield Finding(f"{label}: reduced gradient", difference(gradient, reduced), p.bound, ROUNDING)
    dY = system.tangent(d).reshape(trajectory.Y.shape)
    curved = point.hessian_product(W.logits(place, volume, dY) - W.mu[:, None]) / m
    product = system.adjoint(W.logits_adjoint(place, volume, curved).ravel())
    ours = objective.gauss_newton(at)(d)
    yield Finding(f"{label}: Gauss-Newton product", difference(ours, product), 4 * p.bound, f"4 x {ROUNDING}")


def against_the_function(p: ControlProblem) -> Iterator[Finding]:
    """Dot test, Taylor test and complex step."""
    label, trajectory = f"{p.layer}, {p.integrator}", linearized(p.network.propagation, p.x)
    controls, backend, shape = p.network.controls, p.network.backend, trajectory.Y.shape

    def at(v: NDArray[np.float64]) -> Propagation:
        return Propagation(p.architecture, controls.unflat(np, v), backend)

    rng, v = np.random.default_rng(p.seed + 4), controls.flat(np)
    dot = dot_test(
        lambda d: trajectory.tangent(at(d)).ravel(),
        lambda P: trajectory.adjoint(P.reshape(shape)).flat(np),
        (v.size, trajectory.Y.size),
        rng,
        bound=p.bound,
    )
    yield Finding(f"{label}: dot test", dot.error, dot.bound, ROUNDING)
    step = complex_step_test(
        lambda z: at(z).apply(p.x).ravel(), v, rng, lambda d: trajectory.tangent(at(d)).ravel(), p.bound
    )
    yield Finding(f"{label}: complex step", step.error, step.bound, ROUNDING)
    objective = NetworkObjective(p.network, p.batches, WEIGHTS)
    whole = objective.vector(p.network)
    _, gradient = objective.value_and_gradient(whole)
    taylor = taylor_test(objective.value, whole, rng, gradient, first_step=1e-2)
    low = max(0.0, *(k - order for k, order in enumerate(taylor.orders, start=1)))
    yield Finding(f"{label}: Taylor orders 1, 2 of the objective", low, 0.1, "missing from the order")


def storages(p: ControlProblem) -> Iterator[Finding]:
    """Compare gradients with recomputed states to those with stored ones."""
    gradients = {}
    for storage in ("all", "checkpoint", "reversible"):
        if storage == "reversible" and not INTEGRATORS[p.integrator].reversible:
            continue
        objective = NetworkObjective(p.network, p.batches, WEIGHTS, storage=storage)
        gradients[storage] = objective.value_and_gradient(objective.vector(p.network))[1]
    # Recomputed states are the same bits; undone steps round anew in each of N steps.
    bounds = {"checkpoint": 0.0, "reversible": 16 * p.steps * EPS}
    remarks = {"checkpoint": "the same bits", "reversible": "16 N eps"}
    for name, bound in bounds.items():
        if name in gradients:
            error = difference(gradients[name], gradients["all"])
            yield Finding(f"{p.layer}, {p.integrator}: storage {name}", error, bound, remarks[name])


def observed_order(integrator: str, seed: int) -> Finding:
    """Measure the order of an integrator against SciPy's solution of the differential equation."""
    layer = "hamiltonian" if integrator == "verlet" else "residual"
    problem = ControlProblem(layer, integrator, 2, seed=seed)
    expected = INTEGRATORS[integrator].order
    test = order_test(problem.solve, problem.exact(), expected)
    name = f"{integrator}: observed order {test.order:.3f}, expected {expected}"
    return Finding(name, abs(test.order - expected), 0.1, "against DOP853")


def loss_derivatives(name: str, seed: int) -> Iterator[Finding]:
    """Taylor test of a loss in its logits, with the Hessian where the loss has one."""
    rng, loss = np.random.default_rng([seed, 7]), named_loss(name)
    Z, T = 3 * rng.normal(size=(5, 6)), as_targets(np.arange(6) % 5, 5)
    point = loss.linearize(np, Z, T)
    # Steps that cross no kink of the hinges; their remainders vanish or are quadratic.
    test = taylor_test(
        lambda z: loss.value(np, z.reshape(Z.shape), T),
        Z.ravel(),
        rng,
        point.gradient.ravel(),
        lambda v: point.hessian_product(v.reshape(Z.shape)).ravel(),
        first_step=1e-3,
        steps=5,
    )
    low = max(0.0, *(k - order for k, order in enumerate(test.orders, start=1)))
    yield Finding(f"loss {name}: Taylor orders 1, 2, 3", low, 0.1, "missing from the order")


def batch_size(seed: int) -> Finding:
    """Compare the gradient from one batch with that from batches of one example."""
    p = ControlProblem("residual", "euler", seed=seed)
    found, classes = [], p.architecture.classes
    for size in (1, 3):
        batches = Batches(p.x, np.arange(3), classes, size, p.network.backend, "float64")
        assert len(list(batches)) == 3 // size
        objective = NetworkObjective(p.network, batches, WEIGHTS)
        found.append(objective.value_and_gradient(objective.vector(p.network))[1])
    return Finding("gradient independent of the batch size", difference(*found), p.bound, ROUNDING)


def symbol_and_eigenvalues(layer: str, seed: int) -> Finding:
    """Compare the largest eigenvalue by the symbol with that of the explicit matrix."""
    pairs = symbols_checked(ControlProblem(layer, "euler", seed=seed).network)
    error = max(abs(a - b) / b for a, b in pairs)
    # ARPACK stops at eps; nonsymmetric eigenvalues lose digits with their condition, allow 1e4.
    return Finding(f"{layer}: largest |eigenvalue| of K, symbol and eigs", error, 1e4 * EPS, "1e4 eps")
