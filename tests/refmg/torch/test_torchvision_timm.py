"""Architectures of torchvision and timm, small and with random weights."""

import pytest
from torchvision_without_ops import import_or_skip

torchvision = import_or_skip()
timm = pytest.importorskip("timm", reason="needs 'pip install torchvision timm'")
import torch  # noqa: E402

from refmg.torch import TransferOptions, transfer_model  # noqa: E402
from refmg.torch.tracing import trace  # noqa: E402

torch.set_num_threads(1)
MODELS = {
    "torchvision DenseNet": lambda: torchvision.models.densenet.DenseNet(8, (2, 2), 16, num_classes=5),
    "torchvision MobileNetV3": lambda: torchvision.models.mobilenet_v3_small(num_classes=5),
    "timm MobileNetV3": lambda: timm.create_model("mobilenetv3_small_050", num_classes=5),
    "timm ConvNeXt": lambda: timm.create_model(
        "convnext_atto", depths=(1, 1, 1, 1), dims=(8, 16, 24, 32), num_classes=5
    ),
}
# Layers without a rule, of which a user is told.
KEPT = {
    "torchvision MobileNetV3": {"kept: not the last linear layer on vectors"},
    "timm ConvNeXt": {"kept: normalises each image by itself", "kept: no rule"},
}


@pytest.fixture(params=MODELS)
def architecture(request):
    torch.manual_seed(0)
    return request.param, MODELS[request.param]().eval()


@pytest.mark.parametrize("direction", ["coarse", "fine"])
def test_a_model_is_calibrated(architecture, direction):
    name, model = architecture
    images = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    # Without smoothness the least squares are of the responses alone, so that the prior cannot be better.
    moved, report = transfer_model(model, images, 2, direction, options=TransferOptions(smoothness=0.0))
    here = images if direction == "fine" else torch.nn.functional.avg_pool2d(images, 2)
    assert moved(here).isfinite().all()
    convolutions = sum(isinstance(module, torch.nn.Conv2d) for module in model.modules())
    solved = [layer for layer in report.layers if layer.after is not None]
    assert len(solved) == convolutions + 1
    assert all(layer.after <= layer.before + 1e-6 for layer in solved)  # rounding of float32 moments
    kept = {layer.action for layer in report.layers if layer.action.startswith("kept")}
    assert kept == KEPT.get(name, set())


def test_batch_norms_with_an_activation_inside_absorb_an_intercept():
    # timm's batch norm does more than PyTorch's; what it does with its input is no use by others.
    model = MODELS["timm MobileNetV3"]().eval()
    steps = trace(model, torch.randn(2, 3, 64, 64))
    plain = [s for s in steps if isinstance(s.module, torch.nn.Conv2d) and s.module.bias is None]
    assert len(plain) > 20
    assert all(step.normalized for step in plain)
