"""PyTorch models on images that ranks share out: batch-norm statistics and calibration."""

import copy

import pytest
from simulated_ranks import SimulatedRanks

torch = pytest.importorskip("torch", reason="refmg.torch needs the extra 'torch'")
from torch import nn  # noqa: E402

from refmg import RefmgError  # noqa: E402
from refmg.distributed import SerialCommunicator, Share  # noqa: E402
from refmg.torch import SharedImages, TransferOptions, reestimate_batch_norm, transfer_model  # noqa: E402

IMAGES = torch.randn(23, 2, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def model():
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    head = [nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    head.append(nn.Linear(4, 3))
    return nn.Sequential(*layers, *head).double().eval()


# Made once: the seed is one of all threads, and ranks are threads here.
MODEL = model()


def reestimated(images):
    net = copy.deepcopy(MODEL)
    reestimate_batch_norm(net, images, batch_size=4)
    return list(net.state_dict().values())


def moved(images):
    net, report = transfer_model(copy.deepcopy(MODEL), images, options=TransferOptions(batch_size=4))
    assert report.layers[0].action == "calibrated"
    return list(net.state_dict().values())


def on_ranks(size, function, deterministic=False):
    def run(comm):
        return function(SharedImages(IMAGES, Share(comm, deterministic)))

    found = [run(SerialCommunicator())] if size == 1 else SimulatedRanks(size).run(run)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    return found[0]


@pytest.mark.parametrize("function", [reestimated, moved])
def test_the_same_numbers_on_any_number_of_ranks(function):
    serial, one = function(IMAGES), on_ranks(1, function, deterministic=True)
    for size in (2, 3):
        # Sums about the first batch's mean, in float64: what they round is amplified by the normal equations.
        for a, b in zip(serial, on_ranks(size, function), strict=True):
            assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)
        found = on_ranks(size, function, deterministic=True)
        assert all(torch.equal(a, b) for a, b in zip(one, found, strict=True))


def test_the_comparison_rejects_statistics_of_one_rank_alone():
    found = reestimated(IMAGES[:12])
    assert not all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(found, reestimated(IMAGES), strict=True))


def test_batches_of_a_rank_are_its_own():
    def run(comm):
        own = [part for k, part in enumerate(IMAGES.split(4)) if k % 2 == comm.rank]
        return reestimated(SharedImages(own, Share(comm)))

    for a, b in zip(SimulatedRanks(2).run(run)[0], reestimated(IMAGES), strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_what_cannot_be_shared_out_is_refused():
    with pytest.raises(RefmgError, match="found 2 images for 3 ranks"):
        SimulatedRanks(3).run(lambda comm: SharedImages(IMAGES[:2], Share(comm)))
    with pytest.raises(RefmgError, match="expected one tensor of all images"):
        SharedImages([IMAGES], Share(SerialCommunicator(), deterministic=True))
    with pytest.raises(RefmgError, match="expected all of them, on every rank"):
        transfer_model(model(), SharedImages(IMAGES, Share(SerialCommunicator())), transfer="spectrum")
    # 33 images in blocks of 3: eleven of them.
    many = IMAGES.repeat(2, 1, 1, 1)[:33]
    with pytest.raises(RefmgError, match="found 11 blocks of images for 12 ranks"):
        SimulatedRanks(12).run(lambda comm: SharedImages(many, Share(comm, deterministic=True)).own(3))
