"""Batch-norm statistics streamed over images, against one forward pass of all of them."""

from copy import deepcopy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="refmg.torch needs the extra 'torch'")
from torch import nn  # noqa: E402

from refmg import RefmgError  # noqa: E402
from refmg.torch import reestimate_batch_norm  # noqa: E402

torch.set_num_threads(1)


def network(**settings):
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, **settings), nn.ReLU(), nn.Dropout(), nn.Conv2d(3, 4, 3)]
    return nn.Sequential(*layers, nn.BatchNorm2d(4, **settings), nn.ReLU(inplace=True)).double()


def whole_batch(model, images):
    """Return the statistics of one pass in training mode, without dropout."""
    model = deepcopy(model).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    model(images)
    return model


@pytest.mark.parametrize("size", [1, 4, 30])
def test_streamed_statistics_are_those_of_one_batch(size):
    model = network()
    images = 10 + torch.randn(30, 2, 8, 8, dtype=torch.float64)
    expected = whole_batch(model, images)
    model.train()
    before = deepcopy(model.state_dict())
    assert reestimate_batch_norm(model, images, batch_size=size) == ["1", "5"]
    for number in (1, 5):
        for name in ("running_mean", "running_var"):
            found, wanted = (getattr(m[number], name) for m in (model, expected))
            # Sums of at most 30 * 36 numbers.
            assert torch.allclose(found, wanted, rtol=2000 * np.finfo(float).eps, atol=1e-13)
            assert not torch.equal(found, before[f"{number}.{name}"])
    assert all(module.training for module in model.modules())
    unchanged = {name for name in before if "running" not in name}
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in unchanged)


def test_a_running_average_over_batches_would_have_been_another():
    model = network()
    images = torch.randn(30, 2, 8, 8, dtype=torch.float64)
    expected = whole_batch(model, images)
    for number in (1, 5):
        model[number].momentum = None
        model[number].reset_running_stats()
    model.train()
    for batch in images.split(4):
        model(batch)
    assert not torch.allclose(model[5].running_var, expected[5].running_var, rtol=1e-3)


def test_a_loader_with_labels_and_a_norm_without_statistics():
    model = nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), nn.BatchNorm2d(2))
    images = torch.randn(6, 2, 3, 3)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, torch.zeros(6, dtype=torch.long)), batch_size=4
    )
    assert reestimate_batch_norm(model, loader) == ["1"]


def test_a_norm_called_twice_gets_both_calls():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(1)

        def forward(self, x):
            return self.norm(x) + self.norm(2 * x)

    model = Twice()
    x = torch.tensor([[[1.0, 2.0]], [[3.0, 6.0]]])
    reestimate_batch_norm(model, x, batch_size=1)
    both = torch.cat([x.flatten(), 2 * x.flatten()])
    assert model.norm.running_mean.item() == pytest.approx(both.mean().item(), rel=1e-6)
    assert model.norm.running_var.item() == pytest.approx(both.var().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.zeros(0, 2, 8, 8), "found no images"),
        ([], "found no images"),
        (torch.zeros(3, 2, 8, 8, dtype=torch.uint8), "found images as torch.uint8"),
        (torch.zeros(3, 2), "of shape \\(3, 2\\)"),
        ([np.zeros((3, 2, 8, 8))], "found images as ndarray"),
        (torch.full((3, 2, 8, 8), float("nan")), "NaN or infinity"),
        (torch.zeros(3, 1, 8, 8), "does not run on images of shape"),
        (torch.zeros(3, 2, 2, 2), "does not run on images of shape"),
    ],
)
def test_images_that_do_not_fit_are_refused_and_nothing_changes(images, said):
    model = network()
    before = deepcopy(model.state_dict())
    with pytest.raises(RefmgError, match=said):
        reestimate_batch_norm(model, images)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_model_without_parameters_is_refused():
    with pytest.raises(RefmgError, match="without floating parameters"):
        reestimate_batch_norm(nn.ReLU(), torch.zeros(1, 1, 2, 2))
