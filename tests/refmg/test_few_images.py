"""Calibration by fewer images than its unknowns ask for is warned of, and only that."""

import warnings

import numpy as np
import pytest

from refmg import Architecture, FewImagesWarning, random_network, transfer_network
from refmg.calibration.few_images import FitSize, few_images
from refmg.resnet import ResNetArchitecture, ResNetTransferOptions, random_resnet, transfer_resnet

ONE_FOR_WEIGHTS = "one image fits the classifier's biases and none of its weights; expected 2 or more"


def images(m, cells=8, channels=1):
    return np.random.default_rng(0).standard_normal((channels, cells, cells, m))


@pytest.fixture
def quiet():
    """Every warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def network(**settings):
    return random_network(
        Architecture((8, 8), **{"channels": 8, "layers": 2} | settings), 0, "numpy", "float64"
    )


# Each cell of the coarser grid is an equation; a Hamiltonian stencil reads half of the channels.
@pytest.mark.parametrize(
    ("shape", "layer", "said"),
    [
        (
            (4, 4),
            "residual",
            "2 of 3 convolutions have fewer equations than unknowns (control 0: 16 for 72), and",
        ),
        (
            (4, 4),
            "hamiltonian",
            "2 of 3 convolutions have fewer equations than unknowns (control 0: 16 for 36)",
        ),
        (
            (16, 16),
            "residual",
            "2 of 3 convolutions have fewer equations than unknowns (control 0: 64 for 72)",
        ),
        ((16, 16), "hamiltonian", f"calibrate by: {ONE_FOR_WEIGHTS}"),
    ],
)
def test_a_network_warns_once_of_one_image(shape, layer, said):
    with pytest.warns(FewImagesWarning) as caught:
        transfer_network(network(layer=layer), shape, "calibrated", images=images(1, max(8, shape[0])))
    (warning,) = caught
    assert warning.filename == __file__
    assert said in str(warning.message)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("layer", ["residual", "hamiltonian"])
def test_a_network_does_not_warn_of_as_many_as_it_asks_for(layer):
    # 72 or 36 unknowns, 16 equations an image.
    net, needed = network(layer=layer), 5 if layer == "residual" else 3
    transfer_network(net, (4, 4), "calibrated", images=images(needed))
    with pytest.raises(FewImagesWarning, match=f"expected {needed} or more"):
        transfer_network(net, (4, 4), "calibrated", images=images(needed - 1))
    transfer_network(net, (4, 4), "power-law")


def rank_of_step(m):
    """The rank of what m images change in a layer of 24 channels, shape (24, 216)."""
    net, x = network(channels=24, layers=1, in_channels=3), images(m, channels=3)
    prior = transfer_network(net, (4, 4), "power-law").controls.stencils
    moved = transfer_network(net, (4, 4), "calibrated", images=x).controls.stencils
    # With its ridge of 0.01 the matrix of 216 rows has a condition below 216 / 0.01 + 1, so that the step is
    # right to some 2e4 * 216 * eps = 1e-9 of its length.
    return np.linalg.matrix_rank((moved - prior).reshape(24, -1), rtol=1e-9)


def test_what_few_images_leave_open_stays_as_the_prior_has_it():
    """The step lies in the span of what the images excite: of 16 cells by one image, of more by many."""
    with pytest.warns(FewImagesWarning):
        assert rank_of_step(1) <= 16
    assert rank_of_step(50) > 16


def resnet():
    return random_resnet(ResNetArchitecture((32, 32), 3, 1, blocks=(1, 1), widths=(4, 8)), 0, backend="numpy")


def test_a_resnet_warns_of_one_image():
    with pytest.warns(FewImagesWarning, match=ONE_FOR_WEIGHTS.split(";")[0]) as caught:
        transfer_resnet(resnet(), (16, 16), "calibrated", images(1, 32))
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.usefixtures("quiet")
def test_a_resnet_does_not_warn_of_many_nor_where_nothing_is_fitted():
    transfer_resnet(resnet(), (16, 16), "calibrated", images(20, 32))
    transfer_resnet(resnet(), (16, 16), "unchanged", images(1, 32), ResNetTransferOptions(batch_norm=False))


def test_half_of_the_convolutions_may_have_fewer_equations():
    half = [FitSize("a", 10, 9), FitSize("b", 10, 90)]
    assert few_images(5, half, classifier=True) == ""
    assert "2 of 3 convolutions" in few_images(5, [*half, FitSize("c", 10, 36)], classifier=True)
    # 5 images give 10 equations: b wants 45 images and c wants 18, and then two of three have enough.
    assert "expected 18 or more" in few_images(5, [*half, FitSize("c", 10, 36)], classifier=True)
    assert "(b: 10 for 90)" in few_images(5, [*half, FitSize("c", 10, 36)], classifier=True)


def test_one_image_is_too_few_for_a_classifier_alone():
    enough = [FitSize("a", 196, 72)]
    assert ONE_FOR_WEIGHTS in few_images(1, enough, classifier=True)
    assert few_images(1, enough, classifier=False) == few_images(2, enough, classifier=True) == ""
