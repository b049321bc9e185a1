"""Losses: hand-made values, derivatives, shifts, overflow, labels, a second array library, PyTorch."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refmg import Classifier, RefmgError, get_backend, named_loss
from refmg.checks import taylor_test
from refmg.losses import (
    LOSSES,
    Hinge,
    LeastSquares,
    Logistic,
    Loss,
    LossPoint,
    SoftmaxCrossEntropy,
    SquaredHinge,
    as_targets,
    check_training_labels,
    softmax,
)

EPS = np.finfo(float).eps
every_loss = pytest.mark.parametrize("name", LOSSES)


def problem(seed, classes, m):
    rng = np.random.default_rng(seed)
    return 3 * rng.normal(size=(classes, m)), as_targets(rng.integers(0, classes, m), classes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("softmax", np.log(np.exp([1.5, 2.0, -1.0]).sum()) - 2.0),
        ("least-squares", 0.5 * (1.5**2 + 1 + 1)),
        ("logistic", np.log1p(np.exp([1.5, -2.0, -1.0])).sum()),
        ("hinge", 0.5),
        ("svm", 0.125),
    ],
)
def test_values_by_hand(name, expected):
    Z, T = np.array([[1.5], [2.0], [-1.0]]), as_targets([1], 3)
    assert named_loss(name).value(np, Z, T) == pytest.approx(expected, rel=8 * EPS)


@every_loss
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(2, 6), st.integers(1, 5))
@example(3, 2, 1)  # a loss of 1e-6
def test_gradient_and_hessian_belong_to_the_value(name, seed, classes, m):
    (Z, T), loss = problem(seed, classes, m), named_loss(name)
    point = loss.linearize(np, Z, T)
    assert point.value == pytest.approx(loss.value(np, Z, T), rel=8 * EPS)
    if name in ("svm", "hinge"):
        own = np.sum(T * Z, axis=0)
        if np.abs((1 - T) * (1 + Z - own))[T == 0].min() < 1e-2:
            return  # within the first step of a kink
    # The value is rounded like the numbers that it is made of, of size 1 + |Z|, not like the loss, which
    # may be 1e-6: the constant raises the test's floor to that rounding and changes no derivative.
    size = 1 + np.abs(Z).max()
    test = taylor_test(
        lambda z: size + loss.value(np, z.reshape(Z.shape), T),
        Z.ravel(),
        np.random.default_rng(seed),
        point.gradient.ravel(),
        lambda v: point.hessian_product(v.reshape(Z.shape)).ravel(),
        first_step=1e-3 / max(1, np.linalg.norm(Z)),
        steps=4,
        tolerance=0.2,
    )
    assert test.passed, str(test)


@every_loss
def test_a_wrong_gradient_would_be_noticed(name):
    (Z, T), loss = problem(4, 4, 3), named_loss(name)
    g = 1.001 * loss.linearize(np, Z, T).gradient.ravel()
    rng = np.random.default_rng(0)
    assert not taylor_test(lambda z: loss.value(np, z.reshape(Z.shape), T), Z.ravel(), rng, g).passed


@every_loss
def test_the_hessian_is_symmetric_and_semidefinite(name):
    (Z, T), loss = problem(3, 4, 2), named_loss(name)
    product = loss.linearize(np, Z, T).hessian_product
    H = np.stack([product(e.reshape(Z.shape)).ravel() for e in np.eye(Z.size)])
    assert np.abs(H - H.T).max() <= 4 * EPS
    assert np.linalg.eigvalsh(H).min() >= -16 * EPS


@every_loss
def test_shifts(name):
    (Z, T), loss = problem(2, 5, 4), named_loss(name)
    here, there = loss.linearize(np, Z, T), loss.linearize(np, Z + 100.0, T)
    # Z + 100 is rounded to 100 eps; each of 20 logits passes that on with a factor of at most 1.
    close = abs(here.value - there.value) <= 20 * 100 * EPS * max(1.0, here.value)
    assert close == loss.shift_invariant


@pytest.mark.parametrize("name", ["svm", "hinge"])
def test_a_margin_at_its_kink_counts_as_inactive(name):
    Z, T = np.array([[2.0], [1.0]]), as_targets([0], 2)
    point = named_loss(name).linearize(np, Z, T)
    assert point.value == 0
    assert not point.gradient.any()
    assert not point.hessian_product(np.array([[1.0], [3.0]])).any()


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_overflow_nothing(name, dtype):
    Z = np.array([[1e4, -1e4, 1e4, -1e4], [-1e4, 1e4, 1e4, -1e4]], dtype=dtype)
    T = as_targets([0, 0, 1, 1], 2).astype(dtype)
    point = named_loss(name).linearize(np, Z, T)
    assert np.isfinite(point.value)
    assert np.isfinite(point.gradient).all()
    assert np.isfinite(point.hessian_product(np.ones_like(Z))).all()
    right = named_loss(name).value(np, Z[:, :1], T[:, :1])
    assert name == "least-squares" or right == 0


@every_loss
def test_a_minimal_array_library_gives_the_same(name):
    (Z, T), loss = problem(8, 4, 3), named_loss(name)
    ours = loss.linearize(np, Z, T)
    theirs = loss.linearize(array_api_strict, *(array_api_strict.asarray(a) for a in (Z, T)))
    direction = np.random.default_rng(0).normal(size=Z.shape)
    curved = theirs.hessian_product(array_api_strict.asarray(direction))
    assert float(theirs.value) == pytest.approx(ours.value, rel=8 * EPS)
    assert np.allclose(np.from_dlpack(theirs.gradient), ours.gradient, rtol=0, atol=16 * EPS)
    assert np.allclose(np.from_dlpack(curved), ours.hessian_product(direction), rtol=0, atol=16 * EPS)


def test_pytorch_agrees():
    torch = pytest.importorskip("torch", reason="the foreign witness needs the extra 'torch'")
    Z, T = problem(5, 4, 6)
    labels = torch.from_numpy(T.argmax(axis=0))
    F = torch.nn.functional
    theirs = {
        "softmax": lambda z: F.cross_entropy(z.T, labels, reduction="sum"),
        "least-squares": lambda z: 0.5 * F.mse_loss(z, torch.from_numpy(T), reduction="sum"),
        "logistic": lambda z: F.binary_cross_entropy_with_logits(z, torch.from_numpy(T), reduction="sum"),
        "svm": lambda z: F.multi_margin_loss(z.T, labels, p=2, reduction="sum") * 4 / 2,
        "hinge": lambda z: F.multi_margin_loss(z.T, labels, p=1, reduction="sum") * 4,
    }
    for name, loss in theirs.items():
        z = torch.from_numpy(Z).requires_grad_()
        value = loss(z)
        value.backward()
        ours = named_loss(name).linearize(np, Z, T)
        assert ours.value == pytest.approx(value.item(), rel=1e-13)
        assert np.allclose(ours.gradient, z.grad.numpy(), rtol=0, atol=1e-13)


def test_labels_as_integers_and_one_hot_are_the_same():
    assert np.array_equal(as_targets(as_targets([2, 0], 3), 3), as_targets([2, 0], 3))
    assert np.array_equal(as_targets(np.array([1.0, 0.0]), 2), as_targets([1, 0], 2))


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 0], 1, "found a single class"),
        ([0, 5], 3, "found labels from 0 to 5 for 3 classes; expected 0 to 2"),
        ([-1, 0], 3, "found labels from -1 to 0"),
        ([0, 3], 3, "found labels from 0 to 3 for 3 classes"),
        ([0.0, np.nan], 3, r"not numbers \(NaN\?\)"),
        (["a", "b"], 3, "not numbers"),
        ([0.5, 1.0], 3, "found the label 0.5; expected whole numbers"),
        ([1e300, 0.0], 3, r"found the label 1e\+300"),
        (np.zeros((2, 2, 2)), 2, "found labels of shape"),
        (np.eye(3), 2, "found one-hot labels of shape"),
        (np.ones((2, 3)), 2, "not a single 1 among zeros"),
        (np.full((2, 3), 0.5), 2, "not a single 1 among zeros"),
    ],
)
def test_bad_labels_are_refused(labels, classes, message):
    with pytest.raises(RefmgError, match=message):
        as_targets(labels, classes)


def test_training_without_a_class_or_an_example_is_refused():
    with pytest.raises(RefmgError, match="found no example of class 1, 3 among 2"):
        check_training_labels(as_targets([0, 2], 4))
    with pytest.raises(RefmgError, match="found no example; expected training images"):
        check_training_labels(as_targets([], 2))


def test_an_unknown_loss_is_refused():
    with pytest.raises(RefmgError, match="unknown loss 'softmx'"):
        named_loss("softmx")


@pytest.mark.parametrize("name", ["softmax", "least-squares", "logistic", "svm"])
@pytest.mark.parametrize("block", ["W", "mu", "y"])
def test_gradient_and_hessian_in_weights_biases_and_features(name, block):
    rng, volume, loss = np.random.default_rng(12), 1 / 6, named_loss(name)
    at = {"W": rng.normal(size=(2, 6, 3)), "mu": rng.normal(size=3), "y": rng.normal(size=(2, 6, 4))}
    T = as_targets([0, 1, 2, 1], 3)

    def logits(parts):
        return Classifier(parts["W"], parts["mu"]).logits(get_backend("numpy"), volume, parts["y"])

    def moved(v):
        return at | {block: v.reshape(at[block].shape)}

    def back(G):
        classifier = Classifier(at["W"], at["mu"])
        if block == "y":
            return classifier.logits_adjoint(get_backend("numpy"), volume, G).ravel()
        return getattr(classifier.weight_gradient(get_backend("numpy"), volume, at["y"], G), block).ravel()

    def tangent(v):
        return logits(moved(v)) - logits(moved(0 * v))

    point, x = loss.linearize(np, logits(at), T), at[block].ravel()
    test = taylor_test(
        lambda v: loss.value(np, logits(moved(v)), T),
        x,
        rng,
        back(point.gradient),
        lambda v: back(point.hessian_product(tangent(v))),
        first_step=1e-3,
        steps=5,
    )
    assert test.passed, str(test)


@pytest.mark.parametrize(
    ("kind", "name", "invariant"),
    [
        (SoftmaxCrossEntropy, "softmax", True),
        (LeastSquares, "least-squares", False),
        (Logistic, "logistic", False),
        (SquaredHinge, "svm", True),
        (Hinge, "hinge", True),
    ],
)
def test_a_loss_is_named_and_says_whether_shifts_change_it(kind, name, invariant):
    loss = named_loss(name)
    assert isinstance(loss, kind)
    assert (kind().name, kind().shift_invariant) == (name, invariant)
    Z, T = problem(7, 4, 3)
    values = kind().value(np, Z, T), kind().value(np, Z + 2.0, T)
    assert (values[0] == pytest.approx(values[1], rel=64 * EPS)) == invariant
    point = kind().linearize(np, Z, T)
    assert isinstance(point, LossPoint)
    assert point.value == values[0]
    assert point.hessian_product(np.ones_like(Z)).shape == Z.shape


def lacking(protocol, thing):
    """Return what a protocol asks for and a thing does not have."""
    asked = {name for name in vars(protocol) if not name.startswith("_")} | set(protocol.__annotations__)
    return sorted(name for name in asked if not hasattr(thing, name))


def test_every_loss_has_what_a_loss_has_to_have():
    assert all(lacking(Loss, loss) == [] for loss in LOSSES.values())
    assert lacking(Loss, object()) == ["linearize", "name", "shift_invariant", "value"]


def test_softmax_is_of_sum_1_and_knows_no_shift():
    Z, _ = problem(8, 5, 4)
    p = softmax(np, Z)
    assert np.abs(p.sum(axis=0) - 1).max() <= 5 * EPS
    assert np.allclose(softmax(np, Z + 1e3), p, rtol=1e-12)
    assert softmax(np, np.array([[1e4], [-1e4]])).tolist() == [[1.0], [0.0]]
