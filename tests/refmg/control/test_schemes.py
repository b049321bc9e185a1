"""Every layer with every integrator: one sparse system, storage, reversal, both time grids."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from refmg import (
    Architecture,
    ConstraintJacobian,
    RefmgError,
    constraint_jacobian,
    get_backend,
    jacobian,
    random_network,
)
from refmg.integrators import (
    INTEGRATORS,
    EulerStep,
    ForwardEuler,
    Leapfrog,
    LeapfrogStep,
    ReversibleStep,
    RungeKutta4,
    RungeKuttaStep,
    Step,
    Verlet,
    VerletStep,
    named_integrator,
)
from refmg.propagation import Propagation
from refmg.time_grid import ControlGrid
from refmg.trajectory import linearized
from refmg_validation.checks.control_problem import EPS, PAIRS, ControlProblem

every_pair = pytest.mark.parametrize(("layer", "integrator"), PAIRS)
grids = pytest.mark.parametrize(("nodes", "interpolation"), [(4, "linear"), (2, "linear"), (3, "constant")])


def relative(a, b):
    return np.linalg.norm(np.ravel(a) - np.ravel(b)) / np.linalg.norm(b)


def with_grid(layer, integrator, nodes, interpolation, **changes):
    p = ControlProblem(layer, integrator, nodes)
    changes["interpolation"] = interpolation
    architecture = replace(p.architecture, **changes)
    return p, architecture, replace(p.network, architecture=architecture)


@every_pair
@grids
def test_time_stepping_is_substitution_in_one_sparse_system(layer, integrator, nodes, interpolation):
    p, a, network = with_grid(layer, integrator, nodes, interpolation)
    system, trajectory = constraint_jacobian(network, p.x), linearized(network.propagation, p.x)
    along = Propagation(a, p.direction, network.backend)
    P = np.random.default_rng(5).normal(size=trajectory.Y.shape)
    assert relative(trajectory.tangent(along), system.tangent(p.direction.flat(np))) <= p.bound <= 1.1e-12
    assert relative(trajectory.adjoint(P).flat(np), system.adjoint(P.ravel())) <= p.bound


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
@pytest.mark.parametrize("shape", [(5,), (3, 4, 3)])
def test_other_boundaries_and_dimensions(boundary, shape):
    a = Architecture(
        shape, channels=2, layers=3, boundary=boundary, layer="hamiltonian", integrator="verlet", classes=2
    )
    network = random_network(a, 3, "numpy", "float64")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1, *shape, 2))
    direction = network.controls.map(lambda c: rng.normal(size=c.shape))
    system, trajectory = constraint_jacobian(network, x), linearized(network.propagation, x)
    tangent = trajectory.tangent(Propagation(a, direction, network.backend))
    assert relative(tangent, system.tangent(direction.flat(np))) <= 64 * 3 * 54 * EPS


@every_pair
def test_the_system_is_unit_block_lower_bidiagonal(layer, integrator):
    p = ControlProblem(layer, integrator)
    A = constraint_jacobian(p.network, p.x).A.tocoo()
    n = A.shape[0] // (p.steps + 1)
    row, column = A.coords
    lag = row // n - column // n
    assert set(lag[A.data != 0]) == {0, 1}
    inside = (lag == 0) & (A.data != 0)
    assert np.array_equal(row[inside], column[inside])
    assert (A.data[inside] == 1).all()


def test_the_comparison_notices_a_wrong_step():
    p = ControlProblem("residual", "euler")
    wrong = Propagation(replace(p.architecture, final_time=1.0001), p.network.controls, p.network.backend)
    P = np.random.default_rng(5).normal(size=(2, 4, 3, 3))
    system = constraint_jacobian(p.network, p.x)
    assert relative(linearized(wrong, p.x).adjoint(P).flat(np), system.adjoint(P.ravel())) > 1e3 * p.bound


@every_pair
@grids
def test_checkpoints_give_the_same_bits_and_undone_steps_nearly(layer, integrator, nodes, interpolation):
    p, a, network = with_grid(layer, integrator, nodes, interpolation, layers=7)
    whole = linearized(network.propagation, p.x)
    along = Propagation(a, p.direction, network.backend)
    gradient = whole.adjoint(whole.Y).flat(np)
    part = linearized(network.propagation, p.x, "checkpoint")
    assert np.array_equal(part.Y, whole.Y)
    assert np.array_equal(part.tangent(along), whole.tangent(along))
    assert np.array_equal(part.adjoint(whole.Y).flat(np), gradient)
    if INTEGRATORS[integrator].reversible:
        undone = linearized(network.propagation, p.x, "reversible").adjoint(whole.Y).flat(np)
        # Every undone step rounds states anew: a few eps a step.
        assert relative(undone, gradient) <= 16 * 7 * EPS


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 16])
def test_checkpoints_at_any_depth(steps):
    p = ControlProblem("residual", "euler", steps=steps, control_nodes=2)
    whole, part = (linearized(p.network.propagation, p.x, s) for s in ("all", "checkpoint"))
    assert np.array_equal(whole.adjoint(whole.Y).flat(np), part.adjoint(whole.Y).flat(np))


def test_storage_that_cannot_be_is_refused():
    p = ControlProblem("residual", "euler")
    with pytest.raises(RefmgError, match="'euler', whose steps cannot be undone"):
        linearized(p.network.propagation, p.x, "reversible")
    with pytest.raises(RefmgError, match="unknown storage 'al'"):
        linearized(p.network.propagation, p.x, "al")


@every_pair
def test_a_minimal_array_library_gives_the_same(layer, integrator):
    p = ControlProblem(layer, integrator)
    strict = get_backend("array-api-strict")
    here, there = p.network.controls, p.network.controls.map(strict.asarray)
    ours = linearized(Propagation(p.architecture, here, p.network.backend), p.x)
    theirs = linearized(Propagation(p.architecture, there, strict), strict.asarray(p.x), "checkpoint")
    assert relative(strict.to_numpy(theirs.Y), ours.Y) <= p.bound
    adjoint = strict.to_numpy(theirs.adjoint(theirs.Y).flat(strict.xp))
    assert relative(adjoint, ours.adjoint(ours.Y).flat(np)) <= p.bound


@pytest.mark.parametrize("integrator", ["leapfrog", "verlet"])
def test_reversing_all_steps_gives_the_first_state_back(integrator):
    p = ControlProblem("hamiltonian", integrator, steps=50)
    propagation = p.network.propagation
    first = S = propagation.first_state(p.x)
    for k in range(50):
        S = propagation.step(k, S)
    for k in reversed(range(50)):
        S = propagation.steps[k].reverse(propagation.stage_layers(k), S)
    assert relative(S, first) <= 16 * 50 * EPS


def test_euler_with_a_control_for_every_step_is_the_papers_recursion():
    p = ControlProblem("residual", "euler", control_nodes=4)
    Y, net = p.network.propagation.opening.apply(p.x), p.network.propagation
    for k in range(4):
        Y = Y + 0.25 * np.tanh(net.layer_at(((k, Fraction(1)),)).affine(Y))
    assert np.array_equal(net.apply(p.x), Y)


def test_leapfrog_is_the_two_step_recursion_from_rest():
    p = ControlProblem("symmetric", "leapfrog", control_nodes=4)
    net, dt = p.network.propagation, 0.25
    F = [net.layer_at(((k, Fraction(1)),)).apply for k in range(4)]
    old = net.opening.apply(p.x)
    new = old + dt**2 / 2 * F[0](old)
    for k in range(1, 4):
        old, new = new, 2 * new - old + dt**2 * F[k](new)
    assert relative(net.apply(p.x), new) <= p.bound


def test_verlet_nearly_keeps_the_energy_and_euler_does_not():
    drifts = {}
    for integrator in ("verlet", "euler"):
        p = ControlProblem("hamiltonian", integrator, 1, steps=200)
        a = replace(p.architecture, final_time=20.0)
        net = Propagation(a, p.network.controls.map(lambda c: 0.5 * c), p.network.backend)
        layer = net.layer_at(((0, Fraction(1)),))

        def energy(S, layer=layer):
            y, z = S[:1], S[1:]
            return sum(
                np.sum(np.log(np.cosh(half.inner.affine(part))))
                for half, part in ((layer.upper, z), (layer.lower, y))
            )

        S = net.first_state(p.x)
        start = energy(S)
        drifts[integrator] = abs(energy(net.apply(p.x)) - start) / start
    assert drifts["verlet"] < 1e-2
    assert drifts["euler"] > 10 * drifts["verlet"]


def test_weights_of_the_controls_sum_to_one_and_reach_every_control():
    for interpolation in ("linear", "constant"):
        for nodes in range(1, 9):
            grid = ControlGrid(nodes, interpolation)
            seen = set()
            for k in range(8 * nodes + 1):
                weights = grid.weights(Fraction(k, 8 * nodes))
                assert sum(w for _, w in weights) == 1
                seen |= {j for j, _ in weights}
            assert seen == set(range(nodes))


def test_linear_controls_reproduce_linear_functions_between_nodes():
    grid = ControlGrid(5)
    for k in range(33):
        t = Fraction(k, 40)
        assert sum(w * Fraction(j, 5) for j, w in grid.weights(t)) == min(t, Fraction(4, 5))


def test_a_step_that_ends_at_a_jump_takes_the_value_before():
    grid = ControlGrid(2, "constant")
    assert grid.weights(Fraction(1, 2))[0][0] == 1
    assert grid.weights(Fraction(1, 2), before=True)[0][0] == 0


def test_combinations_that_make_no_sense_are_refused():
    for bad, message in (
        ({"layer": "residul"}, "unknown layer"),
        ({"integrator": "rk5"}, "unknown integrator"),
        ({"integrator": "verlet"}, "expected the layer 'hamiltonian'"),
        ({"layer": "hamiltonian", "channels": 3}, "found 3 channels; expected an even number"),
        ({"control_nodes": 0}, "found 0 controls"),
        ({"interpolation": "cubic"}, "unknown interpolation"),
    ):
        with pytest.raises(RefmgError, match=message):
            Architecture((4, 4), **bad)


@pytest.mark.parametrize(
    ("kind", "step", "name", "order", "reversible"),
    [
        (ForwardEuler, EulerStep, "euler", 1, False),
        (RungeKutta4, RungeKuttaStep, "rk4", 4, False),
        (Leapfrog, LeapfrogStep, "leapfrog", 2, True),
        (Verlet, VerletStep, "verlet", 2, True),
    ],
)
def test_an_integrator_is_named_and_has_steps_to_the_final_time(kind, step, name, order, reversible):
    scheme = named_integrator(name)
    assert isinstance(scheme, kind)
    assert (scheme.order, scheme.reversible) == (order, reversible)
    steps = kind().schedule(0.25, 4)
    assert all(isinstance(one, step) for one in steps)
    assert [one.dt for one in steps] == [0.25] * 4
    asked = members(ReversibleStep if reversible else Step)
    assert {"step", "linearize", "tangent", "adjoint"} <= asked
    assert [n for n in asked if not hasattr(steps[0], n)] == []
    assert hasattr(steps[0], "reverse") == reversible


def members(protocol):
    """Return what a protocol asks for, with what those that it is made of do."""
    return {name for base in protocol.__mro__ for name in vars(base) if not name.startswith("_")}


def test_what_can_be_undone_is_a_step():
    assert members(ReversibleStep) - members(Step) == {"reverse"}


def test_an_unknown_integrator_is_refused():
    with pytest.raises(RefmgError, match="did you mean 'euler'"):
        named_integrator("eule")


def test_the_first_leapfrog_step_kicks_by_half_and_verlets_kicks_between_steps_are_whole():
    assert [step.kick for step in Leapfrog().schedule(0.5, 3)] == [0.25, 0.5, 0.5]
    steps = Verlet().schedule(0.5, 3)
    assert [step.kick for step in steps] == [0.25, 0.5, 0.5]
    assert [step.last for step in steps] == [0.0, 0.0, 0.25]


@pytest.mark.parametrize("storage", ["all", "checkpoint"])
def test_the_jacobian_is_the_sparse_system_as_an_operator(storage):
    p = ControlProblem("symmetric", "rk4")
    system, J = constraint_jacobian(p.network, p.x), jacobian(p.network, p.x, storage)
    assert isinstance(system, ConstraintJacobian)
    assert J.shape == (p.network.propagation.apply(p.x).size, p.network.controls.size)
    v, P = p.direction.flat(np), np.random.default_rng(6).normal(size=J.shape[0])
    assert relative(J @ v, system.tangent(v)) <= p.bound
    assert relative(J.T @ P, system.adjoint(P)) <= p.bound
    with pytest.raises(RefmgError, match="did you mean 'all'"):
        jacobian(p.network, p.x, "al")
