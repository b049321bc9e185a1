"""Prolongation in time: exact matrices, what they reproduce, and controls moved by them."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from refmg import Architecture, RefmgError, random_network
from refmg.controls import Controls
from refmg.multilevel import change_depth, deeper, prolong_in_time, time_matrix

F = Fraction
BACKENDS = ["numpy", "numba", "array-api-strict", "adversarial-numpy"]


def polynomial(degree, nodes, times):
    """Values of t^degree in units of the old step."""
    return np.array([F(t * nodes) ** degree for t in times], dtype=object)


def grid(nodes):
    return [F(j, nodes) for j in range(nodes)]


def test_doubling_puts_new_nodes_half_way_and_holds_the_last():
    half = F(1, 2)
    expected = [[1, 0, 0], [half, half, 0], [0, 1, 0], [0, half, half], [0, 0, 1], [0, 0, 1]]
    assert (time_matrix(3, 6) == np.array(expected, dtype=object)).all()


def test_factor_three_and_one():
    thirds = [[1, 0], [F(2, 3), F(1, 3)], [F(1, 3), F(2, 3)], [0, 1], [0, 1], [0, 1]]
    assert (time_matrix(2, 6) == np.array(thirds, dtype=object)).all()
    for name in ("linear", "cubic", "constant"):
        assert (time_matrix(5, 5, name) == np.eye(5, dtype=int)).all()


def test_constant_holds_each_node():
    assert (time_matrix(2, 6, "constant") == np.kron(np.eye(2, dtype=int), np.ones((3, 1), int))).all()


@pytest.mark.parametrize(("name", "degree"), [("constant", 0), ("linear", 1), ("cubic", 3)])
@pytest.mark.parametrize(("old", "new"), [(4, 8), (5, 15), (8, 32), (1, 4), (2, 4), (3, 6)])
def test_polynomials_are_reproduced_up_to_the_last_old_node(name, degree, old, new):
    degree = min(degree, old - 1)
    inside = [t for t in grid(new) if t * old <= old - 1]
    found = time_matrix(old, new, name) @ polynomial(degree, old, grid(old))
    assert (found[: len(inside)] == polynomial(degree, old, inside)).all()
    assert (found[len(inside) :] == polynomial(degree, old, grid(old))[-1]).all()


@pytest.mark.parametrize(("name", "degree"), [("constant", 1), ("linear", 2), ("cubic", 4)])
def test_no_higher_degree_is_reproduced(name, degree):
    inside = [t for t in grid(12) if t * 6 <= 5]
    found = time_matrix(6, 12, name) @ polynomial(degree, 6, grid(6))
    assert (found[: len(inside)] != polynomial(degree, 6, inside)).any()


@pytest.mark.parametrize("name", ["linear", "cubic", "constant"])
@pytest.mark.parametrize(("old", "new"), [(2, 4), (4, 12), (3, 9)])
def test_injection_undoes_prolongation_exactly(name, old, new):
    assert (time_matrix(new, old, name) @ time_matrix(old, new, name) == np.eye(old, dtype=int)).all()
    assert (time_matrix(old, new, name).sum(axis=1) == 1).all()


def test_two_doublings_are_one_step_by_four():
    twice = time_matrix(8, 16) @ time_matrix(4, 8)
    once = time_matrix(4, 16)
    assert (twice == once).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["linear", "cubic", "constant"])
def test_controls_are_the_matrix_times_controls(backend, name):
    """Multiples of 16 that are small: every product and sum is exact, so the matrix is compared by ==."""
    net = random_network(Architecture((4, 4), channels=2, layers=4, classes=2), 0, backend, "float64")
    rng, place = np.random.default_rng(1), net.backend
    shapes = [part.shape for part in (net.controls.opening, net.controls.stencils, net.controls.biases)]
    host = [16.0 * rng.integers(-9, 9, shape) for shape in shapes]
    controls = Controls(*(place.asarray(part, dtype="float64") for part in host))
    moved = prolong_in_time(place.xp, controls, 8, name)
    A = time_matrix(4, 8, name).astype(float)
    assert (place.to_numpy(moved.stencils) == np.tensordot(A, host[1], 1)).all()
    assert (place.to_numpy(moved.biases) == A @ host[2]).all()
    assert moved.opening is controls.opening


def test_depth_changes_keep_time_opening_and_classifier():
    net = random_network(Architecture((4, 4), channels=2, layers=2, final_time=3.0), 0, "numpy")
    deep = change_depth(net, 8, "cubic")
    a = deep.architecture
    assert (a.layers, a.final_time, a.dt, a.control_dt) == (8, 3.0, 0.375, 0.375)
    assert deep.classifier is net.classifier
    assert np.array_equal(change_depth(deep, 2).controls.stencils, net.controls.stencils)


def test_controls_with_a_number_of_their_own_keep_it():
    a = Architecture((4, 4), channels=2, layers=4, control_nodes=2)
    net = random_network(a, 0, "numpy")
    deep = change_depth(net, 8)
    assert np.array_equal(deep.controls.stencils, net.controls.stencils)
    assert deeper(a, 8, 4).control_grid.nodes == 4
    assert change_depth(net, 8, "linear", 4).controls.stencils.shape[0] == 4


def test_the_network_converges_to_that_of_its_controls():
    """More steps over the same piecewise linear controls: the logits approach a limit at first order."""
    a = Architecture((4, 4), channels=2, layers=2, control_nodes=2, classes=3)
    net = random_network(a, 3, "numpy", "float64")
    net = net.with_controls(net.controls.map(lambda part: 5 * part))
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 3))
    features = [change_depth(net, n).propagation.apply(x) for n in (8, 16, 32)]
    first, second = (np.abs(b - a).max() for a, b in pairwise(features))
    assert 1.6 < first / second < 2.6


def centres(nodes):
    return [F(2 * j + 1, 2 * nodes) for j in range(nodes)]


@pytest.mark.parametrize(("name", "degree"), [("constant", 0), ("linear", 1), ("cubic", 3)])
@pytest.mark.parametrize(("old", "new"), [(4, 8), (5, 15), (8, 32), (1, 4), (2, 4), (3, 6)])
def test_polynomials_are_reproduced_between_middles(name, degree, old, new):
    degree = min(degree, old - 1)
    found = time_matrix(old, new, name, "cell-centred") @ polynomial(degree, old, centres(old))
    ends = polynomial(degree, old, centres(old))[[0, -1]]
    first, last = centres(old)[0], centres(old)[-1]
    for t, value in zip(centres(new), found, strict=True):
        expected = ends[0] if t < first else ends[1] if t > last else polynomial(degree, old, [t])[0]
        assert value == expected


def test_doubling_between_middles_by_hand():
    quarter = F(1, 4)
    expected = [[1, 0], [3 * quarter, quarter], [quarter, 3 * quarter], [0, 1]]
    assert (time_matrix(2, 4, time_nodes="cell-centred") == np.array(expected, dtype=object)).all()
    held = np.kron(np.eye(2, dtype=int), np.ones((2, 1), int))
    assert (time_matrix(2, 4, "constant", "cell-centred") == held).all()
    assert (time_matrix(2, 4, time_nodes="cell-centred") != time_matrix(2, 4)).any()


@pytest.mark.parametrize("name", ["linear", "cubic", "constant"])
def test_fewer_middles_take_means(name):
    half = F(1, 2)
    means = np.array([[half, half, 0, 0], [0, 0, half, half]], dtype=object)
    assert (time_matrix(4, 2, name, "cell-centred") == means).all()
    linear = time_matrix(12, 4, name, "cell-centred") @ polynomial(1, 4, centres(12))
    assert (linear == polynomial(1, 4, centres(4))).all()
    assert (time_matrix(5, 5, name, "cell-centred") == np.eye(5, dtype=int)).all()
    undone = time_matrix(9, 3, "constant", "cell-centred") @ time_matrix(3, 9, "constant", "cell-centred")
    assert (undone == np.eye(3, dtype=int)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_controls_move_between_middles(backend):
    """Multiples of 16: every product and sum is exact."""
    net = random_network(Architecture((4, 4), channels=2, layers=4, classes=2), 0, backend, "float64")
    place, rng = net.backend, np.random.default_rng(1)
    host = 16.0 * rng.integers(-9, 9, net.controls.stencils.shape)
    stencils = place.asarray(host, dtype="float64")
    moved = change_depth(
        net.with_controls(Controls(net.controls.opening, stencils, net.controls.biases)),
        8,
        time_nodes="cell-centred",
    )
    A = time_matrix(4, 8, time_nodes="cell-centred").astype(float)
    assert (place.to_numpy(moved.controls.stencils) == np.tensordot(A, host, 1)).all()


def test_middles_need_a_control_a_step():
    net = random_network(Architecture((4, 4), channels=2, layers=4, control_nodes=2), 0, "numpy")
    with pytest.raises(RefmgError, match="found 2 controls for 4 steps and time_nodes='cell-centred'"):
        change_depth(net, 8, time_nodes="cell-centred")


def test_what_does_not_fit_is_refused():
    with pytest.raises(RefmgError, match="unknown nodes in time 'middle'"):
        time_matrix(2, 4, time_nodes="middle")
    with pytest.raises(RefmgError, match="found 4 nodes in time to be moved to 6"):
        time_matrix(4, 6)
    with pytest.raises(RefmgError, match="found 2 nodes in time to be moved to 0"):
        time_matrix(2, 0)
    with pytest.raises(RefmgError, match=r"unknown interpolation in time 'cubik' .*'cubic'"):
        time_matrix(2, 4, "cubik")
