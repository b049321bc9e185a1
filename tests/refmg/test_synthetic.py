"""Calibration on random images: what they are, and that it is calibration on just these."""

from __future__ import annotations

import numpy as np
import pytest

from refmg import Architecture, Calibration, SyntheticImages, random_network, transfer_network
from refmg.classifier import Classifier
from refmg.data import restrict_images
from refmg_backends import RefmgError


def some_network():
    """A network with a classifier that is not zero."""
    a, rng = Architecture((8, 8), channels=4, classes=3), np.random.default_rng(0)
    W, mu = rng.standard_normal(a.classifier_shape), rng.standard_normal(3)
    return random_network(a, 0, backend="numpy").with_classifier(Classifier(W, mu))


@pytest.mark.parametrize("shape", [(32,), (16, 8), (8, 4, 4)])
def test_images_are_bright_shapes_on_a_dark_ground(shape):
    x = SyntheticImages(count=400, threshold=0.5).draw(2, shape)
    assert x.shape == (2, *shape, 400)
    assert x.min() == 0.0
    assert x.max() == 1.0
    # P(field < 1/2) = 0.691; cells of an image hang together, so only the 800 images count as independent.
    assert abs(np.mean(x == 0) - 0.691) < 0.1


def test_a_larger_exponent_is_smoother_and_a_seed_repeats():
    def roughness(p):
        x = SyntheticImages(count=50, exponent=p).draw(1, (16, 16))
        return np.mean((x - np.roll(x, 1, axis=1)) ** 2)

    assert roughness(4.0) < roughness(3.0) < roughness(2.0)
    draws = [SyntheticImages(count=3, seed=seed).draw(1, (8,)) for seed in (0, 0, 1)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("new", [(4, 4), (16, 16)])
def test_it_is_calibration_on_these_images(new):
    network = some_network()
    source = SyntheticImages(count=20, sigma=1.0, calibration=Calibration(ridge=0.1))
    fine = source.draw(1, max(new, (8, 8)))
    coarse = restrict_images(fine, 1.0)
    ours = transfer_network(network, new, source)
    other = transfer_network(network, new, source.calibration, images=fine, coarse_images=coarse)
    assert np.array_equal(ours.controls.stencils, other.controls.stencils)
    assert np.array_equal(ours.classifier.W, other.classifier.W)
    by_name = transfer_network(network, new, "synthetic")
    assert not np.array_equal(by_name.classifier.W, ours.classifier.W)


@pytest.mark.parametrize(
    "settings", [{"count": 0}, {"gain": 0.0}, {"sigma": -1.0}, {"threshold": 4.0}, {"exponent": -1.0}]
)
def test_settings_that_give_no_images_are_refused(settings):
    with pytest.raises(RefmgError, match="found"):
        SyntheticImages(**settings)
