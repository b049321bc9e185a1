"""A PyTorch model calibrated by too few images: warned of once, by all ranks together."""

import warnings

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")

from simulated_ranks import SimulatedRanks  # noqa: E402
from torch import nn  # noqa: E402

from refmg import FewImagesWarning  # noqa: E402
from refmg.distributed import Share  # noqa: E402
from refmg.torch import SharedImages, transfer_model  # noqa: E402


def model():
    torch.manual_seed(0)
    convolutions = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


def images(m):
    return torch.randn(m, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_one_image_is_warned_of():
    with pytest.warns(FewImagesWarning, match="one image fits the classifier's biases") as caught:
        _, report = transfer_model(model(), images(1))
    assert [warning.filename for warning in caught] == [__file__]
    sizes = [(layer.equations, layer.unknowns) for layer in report.layers if layer.equations is not None]
    # 16 coarse cells; the last row is the classifier.
    assert sizes == [(16, 9), (16, 72), (1, 8)]


def test_many_images_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transfer_model(model(), images(20))
        transfer_model(model(), images(1), transfer="unchanged")


def test_ranks_count_their_images_together_and_warn_once():
    narrow = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1))
    x = torch.randn(5, 8, 8, 8, generator=torch.Generator().manual_seed(0))

    def run(m):
        shared = SimulatedRanks(2).run(
            lambda comm: transfer_model(narrow, SharedImages(x[:m], Share(comm)))[1]
        )
        return [[layer.equations for layer in report.layers] for report in shared]

    # 72 unknowns, 16 cells: five images do, four do not.
    with pytest.warns(FewImagesWarning, match="found 4 images .*expected 5 or more") as caught:
        assert run(4) == [[64, 64]] * 2
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(5) == [[80, 80]] * 2
