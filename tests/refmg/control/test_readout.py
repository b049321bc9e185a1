"""The readout in integers: logits, their derivative and its adjoint, on every backend."""

import numpy as np

from refmg import Architecture, Classifier
from refmg.classifier import zero_classifier
from refmg.readout import Readout

SHAPE, CLASSES, EXAMPLES, VOLUME = (2, 3, 5), 4, 7, 0.25


def data(seed, *shape):
    """Small integers: with a volume of a power of two every sum below is exact."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(float)


def problem(backend):
    """Return a classifier and its readout, with W as a matrix and mu on the host."""
    W, mu = data(1, *SHAPE, CLASSES), data(2, CLASSES)
    classifier = Classifier(backend.asarray(W), backend.asarray(mu))
    return classifier, Readout.of(classifier, backend, VOLUME), W.reshape(-1, CLASSES), mu


def test_logits_are_h_d_w_transposed_y_plus_mu(backend):
    classifier, readout, W, mu = problem(backend)
    Y = data(3, *SHAPE, EXAMPLES)
    expected = VOLUME * W.T @ Y.reshape(-1, EXAMPLES) + mu[:, None]
    for found in (readout.logits(backend.asarray(Y)), classifier.logits(backend, VOLUME, backend.asarray(Y))):
        assert np.array_equal(backend.to_numpy(found), expected)


def test_the_tangent_has_no_bias(backend):
    _, readout, W, _ = problem(backend)
    dY = data(4, *SHAPE, EXAMPLES)
    found = backend.to_numpy(readout.tangent(backend.asarray(dY)))
    assert np.array_equal(found, VOLUME * W.T @ dY.reshape(-1, EXAMPLES))


def test_adjoint_and_weight_gradient_are_those_of_the_logits(backend):
    classifier, readout, W, _ = problem(backend)
    Y, G = data(5, *SHAPE, EXAMPLES), data(6, CLASSES, EXAMPLES)
    y, g = backend.asarray(Y), backend.asarray(G)
    expected = VOLUME * (W @ G).reshape(*SHAPE, EXAMPLES)
    assert np.array_equal(backend.to_numpy(readout.adjoint(g, (*SHAPE, EXAMPLES))), expected)
    assert np.array_equal(backend.to_numpy(classifier.logits_adjoint(backend, VOLUME, g)), expected)
    gradient = classifier.weight_gradient(backend, VOLUME, y, g)
    by_hand = VOLUME * (Y.reshape(-1, EXAMPLES) @ G.T).reshape(*SHAPE, CLASSES)
    assert np.array_equal(backend.to_numpy(gradient.W), by_hand)
    assert np.array_equal(backend.to_numpy(gradient.mu), G.sum(axis=1))


def test_a_classifier_is_one_vector_weights_first(backend):
    classifier, _, W, mu = problem(backend)
    vector = classifier.flat(backend.xp)
    assert np.array_equal(backend.to_numpy(vector), np.concatenate([W.ravel(), mu]))
    again = classifier.unflat(backend.xp, vector)
    assert np.array_equal(backend.to_numpy(again.W), W.reshape(*SHAPE, CLASSES))
    assert np.array_equal(backend.to_numpy(again.mu), mu)


def test_the_zero_classifier_finds_every_class_equally_likely(backend):
    a = Architecture((3, 5), channels=2, classes=CLASSES)
    zero = zero_classifier(a, backend, "float32")
    assert zero.W.shape == (2, 3, 5, CLASSES)
    assert np.dtype(backend.to_numpy(zero.W).dtype) == np.float32
    logits = zero.logits(backend, VOLUME, backend.asarray(data(3, *SHAPE, EXAMPLES), dtype="float32"))
    assert not backend.to_numpy(logits).any()
