"""The study of multiscale gradients, on a few digits."""

import numpy as np
import pytest

from refmg import Architecture, Batches, random_network
from refmg.data import load_images
from refmg.optimization import MultiscaleGradient
from refmg_validation.multiscale_study import TRAINING, Point, seconds_by_level, variance_table


@pytest.fixture(scope="module")
def point():
    images = load_images(None, "train").take(np.arange(0, 4000, 40))
    network = random_network(Architecture((28, 28), channels=2), 0, "numpy", "float64")
    return Point(0, network, Batches(images.features(), images.labels, 10, 64, network.backend, "float64"))


def test_a_row_keeps_the_budget_and_promises_what_its_variances_say(point):
    row = point.measured("average", 2, pilot=6, draws=2)
    assert 0 < row["cost"] <= TRAINING.examples
    fine, coarse = row["variances"]
    expected = (np.sqrt(1.25 * fine) + np.sqrt(0.25 * coarse)) ** 2 / row["single_variance"]
    assert row["promised_ratio"] == pytest.approx(expected, rel=1e-12)
    assert variance_table([row | {"drawn_ratio": 1.0}]).row_count == 1


def test_the_error_of_all_examples_is_rounding_and_of_few_is_not(point):
    plain = MultiscaleGradient(point.network, point.batches, ())
    few = point.error(plain, (10,), draws=2)
    # Squares of sums of 100 numbers in another order.
    assert point.error(plain, (100,), draws=1) <= few * (100 * np.finfo(float).eps) ** 2 * 1e4
    assert few > 0


def test_every_level_is_timed(point):
    assert len(seconds_by_level(point.network, point.batches)) == 3
