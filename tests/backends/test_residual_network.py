"""Whole residual networks as one kernel, against the explicit matrices of one layer after the other."""

import numpy as np
import pytest

from refmg import Architecture, get_backend
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.propagation import Propagation
from refmg.readout import Readout
from refmg.trajectory import ReadTrajectory, Trajectory, WholeTrajectory, linearized
from refmg_backends import RefmgError, ResidualParameters
from refmg_backends.numba_kernels.vectors import lanes

NUMBA, NUMPY = (get_backend(name) for name in ("numba", "numpy"))
PROBLEMS = [
    Architecture((5,), channels=3, layers=4, final_time=4.0, width=5, boundary="reflect", activation="relu"),
    Architecture((4, 6), channels=8, layers=3, final_time=3.0, boundary="zero", activation="relu"),
    Architecture(
        (6, 5), channels=5, layers=1, final_time=1.0, in_channels=2, opening_width=1, activation="relu"
    ),
    Architecture((3, 4, 3), channels=4, layers=2, final_time=2.0, activation="relu"),
    Architecture((28, 28), channels=17, layers=1, final_time=1.0, activation="relu"),
]


def whole_controls(a, rng, dtype):
    """Sparse stencils of -1, 0 and 1, so that all that follows is whole numbers without rounding."""

    def draw(*shape):
        return (rng.integers(-1, 2, shape) * (rng.random(shape) < 0.2)).astype(dtype)

    M = a.control_grid.nodes
    return Controls(draw(*a.opening_shape), draw(M, *a.stencil_shape), draw(M, a.channels))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 33, 100])
@pytest.mark.parametrize("a", PROBLEMS, ids=str)
def test_whole_numbers_are_those_of_explicit_matrices(a, m, dtype):
    rng = np.random.default_rng(m)
    controls, direction = (whole_controls(a, rng, dtype) for _ in range(2))
    x = rng.integers(-2, 3, (a.in_channels, *a.shape, m)).astype(dtype)
    P = rng.integers(-1, 2, (a.channels, *a.shape, m)).astype(dtype)
    found = []
    for place, kind in ((NUMBA, WholeTrajectory), (NUMPY, Trajectory)):
        p, along = (Propagation(a, c, place) for c in (controls, direction))
        t = linearized(p, x)
        assert type(t) is kind
        gradient = t.adjoint(P)
        found.append(
            [p.apply(x), t.Y, t.tangent(along), gradient.opening, gradient.stencils, gradient.biases]
        )
    for ours, truth in zip(*found, strict=True):
        assert np.abs(truth).max() < 2**23
        assert ours.dtype == np.dtype(dtype)
        assert np.array_equal(ours, truth)
    assert any(truth.any() for truth in found[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 33, 100])
@pytest.mark.parametrize("classes", [1, 3, 10, 12])
@pytest.mark.parametrize("a", PROBLEMS, ids=str)
def test_logits_that_features_never_leave_the_kernel_for_are_those_of_explicit_matrices(a, classes, m, dtype):
    rng = np.random.default_rng(m + classes)
    controls, direction = (whole_controls(a, rng, dtype) for _ in range(2))
    draw = lambda *shape: rng.integers(-1, 2, shape).astype(dtype)  # noqa: E731
    x, G = draw(a.in_channels, *a.shape, m), draw(classes, m)
    classifier, found = Classifier(draw(a.channels, *a.shape, classes), draw(classes)), []
    for place, kind in ((NUMBA, ReadTrajectory), (NUMPY, Trajectory)):
        p, along = (Propagation(a, c, place) for c in (controls, direction))
        readout = Readout.of(classifier, place, 0.5)
        t = linearized(p, x, readout=readout)
        assert type(t) is kind
        back = t.logits_adjoint(readout, 2 * G)
        found.append([p.logits(readout, x), t.logits(readout), t.logits_tangent(readout, along), t.Y])
        found[-1] += [back.opening, back.stencils, back.biases]
    for ours, truth in zip(*found, strict=True):
        assert np.abs(truth).max() < 2**23
        assert ours.dtype == np.dtype(dtype)
        assert np.array_equal(ours, truth)
    logits, back = found[1][1], found[1][4:]
    assert logits.any() or m == 1
    assert any(part.any() for part in back) or m == 1


def test_the_logits_asked_for_are_those_of_the_classifier_given():
    a, rng = Architecture((4, 5), channels=3), np.random.default_rng(1)
    p, x = (
        Propagation(a, whole_controls(a, rng, "float64"), NUMBA),
        rng.integers(-2, 3, (1, 4, 5, 6)).astype(float),
    )
    one, two = (
        Readout.of(Classifier(rng.normal(size=(3, 4, 5, 4)), np.zeros(4)), NUMBA, 1.0) for _ in range(2)
    )
    t, whole = linearized(p, x, readout=one), linearized(p, x)
    assert type(t) is ReadTrajectory
    bound = 60 * np.finfo(float).eps * np.abs(whole.Y).max() * np.abs(two.matrix).max() * 60
    assert (
        np.abs(t.logits(two) - whole.logits(two)).max() <= bound < np.abs(t.logits(one) - t.logits(two)).max()
    )
    complex_weights = two.matrix.astype(complex)
    with pytest.raises(RefmgError, match="found weights of type complex128; expected float64"):
        p.whole.apply(p.flat_images(x), complex_weights)


@pytest.mark.parametrize("kind", ["complex128", "float32"])
def test_a_classifier_or_direction_of_another_type_leaves_the_kernel(kind):
    a, rng = Architecture((4, 5), channels=3), np.random.default_rng(1)
    c, x = whole_controls(a, rng, "float64"), rng.integers(-2, 3, (1, 4, 5, 6)).astype(float)
    W, G = rng.normal(size=(3, 4, 5, 10)), rng.normal(size=(10, 6))
    p = Propagation(a, c, NUMBA)
    other, own = (Readout.of(Classifier(W.astype(t), np.zeros(10)), NUMBA, 1.0) for t in (kind, "float64"))
    assert type(linearized(p, x, readout=other)) is WholeTrajectory
    t = linearized(p, x, readout=own)
    assert type(t) is ReadTrajectory
    along = Propagation(a, Controls(*(v.astype(kind) for v in (c.opening, c.stencils, c.biases))), NUMBA)
    whole = linearized(p, x)
    for found, expected in (
        (t.logits_tangent(own, along), whole.logits_tangent(own, along)),
        (t.logits_adjoint(own, G.astype(kind)).flat(np), whole.logits_adjoint(own, G.astype(kind)).flat(np)),
    ):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("activation", ["tanh", "smooth-relu", "identity"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_smooth_networks_agree_with_one_layer_after_the_other(activation, dtype):
    a = Architecture((9, 7), channels=6, layers=3, activation=activation)
    rng, eps = np.random.default_rng(2), np.finfo(dtype).eps
    draw = lambda *shape: (0.3 * rng.normal(size=shape)).astype(dtype)  # noqa: E731
    controls, direction = (
        Controls(draw(*a.opening_shape), draw(3, *a.stencil_shape), draw(3, 6)) for _ in range(2)
    )
    x, P = draw(1, 9, 7, 50), draw(6, 9, 7, 50)
    p, along = (Propagation(a, c, NUMBA) for c in (controls, direction))
    ours, steps = linearized(p, x), Trajectory(p, x)
    pairs = [(ours.Y, steps.Y), (ours.tangent(along), steps.tangent(along))]
    pairs += [
        (getattr(t.adjoint(P), name) for t in (ours, steps)) for name in ("opening", "stencils", "biases")
    ]
    for found, expected in pairs:
        # Sums of at most 9 * 6 products a layer, or of 63 * 50 in a gradient; factor 3 for the layers.
        bound = 3 * (9 * 6 + 63 * 50) * eps * np.abs(expected).max()
        assert np.abs(found - expected).max() <= bound
        assert np.abs(1.1 * found - expected).max() > bound


def test_tangent_and_adjoint_are_those_of_each_other():
    a = Architecture((8, 8), channels=8, layers=2)
    rng = np.random.default_rng(4)
    draw = lambda *shape: rng.normal(size=shape)  # noqa: E731
    controls, direction = (
        Controls(draw(*a.opening_shape), draw(2, *a.stencil_shape), draw(2, 8)) for _ in range(2)
    )
    t = linearized(Propagation(a, controls, NUMBA), draw(1, 8, 8, 21))
    P = draw(8, 8, 8, 21)
    dY, back = t.tangent(Propagation(a, direction, NUMBA)), t.adjoint(P)
    left, right = np.sum(dY * P), np.sum(direction.flat(np) * back.flat(np))
    # Two dot products of so many terms.
    assert abs(left - right) <= 2 * P.size * np.finfo(float).eps * np.sum(np.abs(dY * P))


@pytest.mark.parametrize(
    "a",
    [
        Architecture((8, 8), channels=32),
        Architecture((8, 8), layer="symmetric"),
        Architecture((8, 8), integrator="rk4"),
    ],
    ids=["many channels", "another layer", "another integrator"],
)
def test_other_networks_go_one_layer_after_the_other(a):
    rng = np.random.default_rng(0)
    c = Controls(
        rng.normal(size=a.opening_shape),
        rng.normal(size=(a.layers, *a.stencil_shape)),
        np.zeros((a.layers, a.channels)),
    )
    p = Propagation(a, c, NUMBA)
    assert p.whole is None
    assert type(linearized(p, rng.normal(size=(1, 8, 8, 3)))) is Trajectory


def test_images_of_another_type_go_one_layer_after_the_other():
    a, rng = Architecture((6, 6), channels=4), np.random.default_rng(0)
    c = whole_controls(a, rng, "float64")
    p, x = Propagation(a, c, NUMBA), rng.integers(-2, 3, (1, 6, 6, 5))
    assert p.whole is not None
    assert type(linearized(p, x.astype("float32"))) is Trajectory
    assert type(linearized(p, x.astype("float64"))) is WholeTrajectory


@pytest.mark.parametrize("kind", ["complex128", "float32"])
def test_directions_of_another_type_go_one_layer_after_the_other(kind):
    a, rng = Architecture((4, 5), channels=3), np.random.default_rng(1)
    controls = whole_controls(a, rng, "float64")
    p, x, P = Propagation(a, controls, NUMBA), rng.normal(size=(1, 4, 5, 6)), rng.normal(size=(3, 4, 5, 6))
    direction = controls.map(
        lambda c: ((1 + 2j) * c).astype(kind) if kind == "complex128" else c.astype(kind)
    )
    along = Propagation(a, direction, NUMBA)
    whole, steps = linearized(p, x), Trajectory(p, x)
    assert type(whole) is WholeTrajectory
    assert np.array_equal(whole.tangent(along), steps.tangent(along))
    other = (1 + 2j) * P if kind == "complex128" else P.astype(kind)
    for ours, theirs in zip(
        vars(whole.adjoint(other)).values(), vars(steps.adjoint(other)).values(), strict=True
    ):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


def test_no_images_have_no_gradient():
    a = Architecture((4, 5), channels=3)
    p = Propagation(a, whole_controls(a, np.random.default_rng(1), "float64"), NUMBA)
    gradient = linearized(p, np.zeros((1, 4, 5, 0))).adjoint(np.zeros((3, 4, 5, 0)))
    assert not gradient.flat(np).any()


@pytest.mark.parametrize("storage", ["checkpoint", "all"])
def test_little_is_kept_where_little_is_asked_for(storage):
    a, rng = Architecture((6, 6), channels=4, layers=4), np.random.default_rng(0)
    p = Propagation(a, whole_controls(a, rng, "float64"), NUMBA)
    assert (type(linearized(p, np.ones((1, 6, 6, 5)), storage)) is WholeTrajectory) == (storage == "all")


def test_a_block_is_as_wide_as_its_states_fit_into_the_cache():
    def each(n):
        a = Architecture((n, n), channels=8)
        p = Propagation(a, whole_controls(a, np.random.default_rng(0), "float32"), NUMBA)
        return p.whole.each // lanes(4)

    assert (each(8), each(100)) == (2, 1)


def wrong_calls():
    """Calls with one array of a wrong shape, by name."""
    a, rng = Architecture((6, 6), channels=4, layers=2), np.random.default_rng(0)
    network = Propagation(a, whole_controls(a, rng, "float64"), NUMBA).whole
    trajectory = linearized(Propagation(a, whole_controls(a, rng, "float64"), NUMBA), np.ones((1, 6, 6, 5)))
    linear, good = network.linearize(np.ones((1, 36, 5)))[1], network.parameters
    return {
        "adjoint on another grid": lambda: trajectory.adjoint(np.ones((4, 4, 9, 5))),
        "channels": lambda: network.apply(np.ones((2, 36, 5))),
        "cells": lambda: network.linearize(np.ones((1, 35, 5))),
        "adjoint": lambda: linear.adjoint(np.ones((4, 36, 6))),
        "readout": lambda: network.apply(np.ones((1, 36, 5)), np.ones((143, 3))),
        "flat readout": lambda: network.apply(np.ones((1, 36, 5)), np.ones(144)),
        "classes": lambda: linear.adjoint(np.ones((2, 5)), np.ones((144, 3))),
        "opening": lambda: linear.tangent(ResidualParameters(good.opening[:3], good.stencils, good.biases)),
        "layers": lambda: linear.tangent(ResidualParameters(good.opening, good.stencils[:1], good.biases)),
        "biases": lambda: linear.tangent(ResidualParameters(good.opening, good.stencils, good.biases[:, :3])),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_arrays_that_do_not_fit_are_refused_before_compiled_code_sees_them(name):
    with pytest.raises(RefmgError, match=r"found .* of shape .*; expected \("):
        wrong_calls()[name]()
