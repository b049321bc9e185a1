"""Sizes of the network, and what is refused."""

import numpy as np
import pytest

from refmg import RefmgError
from refmg.resnet import (
    BlockSpec,
    ConvolutionSpec,
    ResNet,
    ResNetArchitecture,
    random_resnet,
    resnet_from_arrays,
)

SMALL = ResNetArchitecture((8, 8), blocks=(1, 2), widths=(2, 4))


def test_the_default_is_the_papers_network():
    paper = ResNetArchitecture((224, 224))
    assert paper.depth == 34
    convolutions = list(paper.convolutions())
    assert all(isinstance(c, ConvolutionSpec) for c in convolutions)
    assert len(convolutions) == 33 + 3  # three shortcuts change the width
    assert convolutions[0].stencil_shape == (64, 3, 3, 3)
    assert [len(stage) for stage in paper.stages] == [3, 4, 6, 3]
    assert [stage[-1].second.geometry.out_shape for stage in paper.stages] == [
        (56, 56),
        (28, 28),
        (14, 14),
        (7, 7),
    ]
    blocks = list(paper.every_block())
    assert all(isinstance(b, BlockSpec) for b in blocks)
    assert [b.name for b in blocks if b.shortcut is not None] == ["layer2.0", "layer3.0", "layer4.0"]
    # torchvision's ResNet-34 of 10 classes has 21,289,802 parameters; its opening 64 * 3 * 40 more.
    assert paper.parameter_count == 21_289_802 - 64 * 3 * (49 - 9)


def test_sizes_divide_like_pytorchs_on_odd_grids():
    a = ResNetArchitecture((112, 112))
    assert [stage[0].second.geometry.shape for stage in a.stages] == [(28, 28), (14, 14), (7, 7), (4, 4)]


def test_as_dict_goes_there_and_back():
    a = ResNetArchitecture((16, 8), 3, 1, (1, 1), (4, 8), "periodic", 1, "none")
    assert ResNetArchitecture.from_dict(a.as_dict()) == a
    with pytest.raises(RefmgError, match="expected exactly"):
        ResNetArchitecture.from_dict(a.as_dict() | {"dropout": 0.5})


WRONG = {
    "two axes": {"shape": (8,)},
    "one each a stage": {"blocks": (1, 1, 1)},
    "blocks": {"blocks": (0, 1)},
    "widths": {"widths": (2, 0)},
    "in_channels": {"in_channels": 0},
    "opening_stride": {"opening_stride": 0},
    "2 or more": {"classes": 1},
    "boundary": {"boundary": "zeros"},
    "opening_pool": {"opening_pool": "mean"},
    "grid": {"shape": (0, 8)},
    "shape = 8;": {"shape": 8},
    r"widths = \(2, 4.5\);": {"widths": (2, 4.5)},
    "opening_stride = 1.5;": {"opening_stride": 1.5},
    "classes = 3.5;": {"classes": 3.5},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_no_network_is_refused(message):
    with pytest.raises(RefmgError, match=message):
        ResNetArchitecture(**({"shape": (8, 8), "blocks": (1, 1), "widths": (2, 4)} | WRONG[message]))


@pytest.mark.parametrize("factors", [(-1, 1), (1, 0), (float("nan"), 1)])
def test_a_network_is_scaled_by_positive_factors(factors):
    with pytest.raises(RefmgError, match="expected positive ones"):
        SMALL.scaled(*factors)


def test_numbers_that_do_not_fit_are_refused():
    net = random_resnet(SMALL, 0, backend="numpy")
    assert isinstance(net, ResNet)
    missing = {k: v for k, v in net.parameters.items() if k != "layer2.1.bn2.bias"}
    for parameters, message in (
        (missing, "no 'layer2.1.bn2.bias'"),
        (net.parameters | {"layer9": np.ones(1)}, "'layer9'"),
        (net.parameters | {"fc.bias": np.ones(3)}, "'fc.bias' of shape"),
    ):
        with pytest.raises(RefmgError, match=message):
            net.with_arrays(parameters)
    with pytest.raises(RefmgError, match="dtype"):
        resnet_from_arrays(SMALL, {k: v.astype(int) for k, v in net.as_arrays().items()}, "numpy")


def test_images_and_labels_that_do_not_fit_are_refused():
    net = random_resnet(SMALL, 0, backend="numpy")
    images = np.ones((3, 8, 8, 2), "float32")
    for wrong in (images[:2], images[:, :7], images[..., :0]):
        with pytest.raises(RefmgError, match=r"expected \(3, 8, 8, examples\)"):
            net.logits(wrong)
    with pytest.raises(RefmgError, match="labels of shape"):
        net.loss_and_gradient(images, [0, 1, 2])
    with pytest.raises(RefmgError, match="0 to 9"):
        net.loss_and_gradient(images, [0, 10])
    with pytest.raises(RefmgError, match="momentum = 2"):
        net.loss_and_gradient(images, [0, 1], momentum=2)


def test_random_networks_are_the_same_on_every_backend(backend):
    here, truth = (random_resnet(SMALL, 3, "float64", b).as_arrays() for b in (backend, "numpy"))
    assert all(np.array_equal(here[name], truth[name]) for name in truth)
    other = random_resnet(SMALL, 4, "float64", "numpy").as_arrays()
    assert not np.array_equal(truth["conv1.weight"], other["conv1.weight"])


def test_on_another_grid_every_number_stays():
    net = random_resnet(SMALL, 0, backend="numpy")
    fine = net.on((16, 16))
    assert fine.parameters is net.parameters
    assert fine.logits(np.ones((3, 16, 16, 1), "float32")).shape == (10, 1)
