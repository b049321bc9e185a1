"""Architectures that others wrote, built from a configuration without weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="refmg.torch needs the extra 'torch'")
transformers = pytest.importorskip("transformers", reason="needs 'pip install transformers'")
from safetensors.torch import load_file, save_file  # noqa: E402

from refmg.torch import transfer_model  # noqa: E402
from refmg_validation.cli import main  # noqa: E402

torch.set_num_threads(1)
SIZES = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 5}
MODELS = {
    "ResNet": {"embedding_size": 8, "layer_type": "basic"},
    "ResNet with bottlenecks": {"embedding_size": 8, "layer_type": "bottleneck"},
    "RegNet": {"embedding_size": 8, "groups_width": 4},
    "ConvNext": {"num_stages": 2},
}
CONVOLUTIONS = {"ResNet": 6, "ResNet with bottlenecks": 8, "RegNet": 13, "ConvNext": 4}


@pytest.fixture(params=MODELS)
def architecture(request):
    torch.manual_seed(0)
    name = request.param.partition(" ")[0]
    config = getattr(transformers, f"{name}Config")(**SIZES, **MODELS[request.param])
    return request.param, getattr(transformers, f"{name}ForImageClassification")(config)


@pytest.mark.parametrize("direction", ["coarse", "fine"])
def test_a_model_is_calibrated(architecture, direction):
    name, model = architecture
    images = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    moved, report = transfer_model(model, images, 2, direction)
    here = images if direction == "fine" else torch.nn.functional.avg_pool2d(images, 2)
    assert moved(here).logits.isfinite().all()
    solved = [layer for layer in report.layers if layer.after is not None]
    assert len(solved) == CONVOLUTIONS[name] + 1
    assert all(layer.after <= layer.before + 1e-6 for layer in solved)  # rounding of float32 moments


def test_a_file_is_moved(architecture, tmp_path, capsys):
    _, model = architecture
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "in.safetensors")
    arguments = [str(tmp_path / "in.safetensors"), "-o", str(tmp_path / "out.safetensors"), "--to", "fine"]
    assert main(["transfer", *arguments, "--transfer", "power-law"]) == 0
    new = load_file(tmp_path / "out.safetensors")
    odd = {k for k, t in state.items() if t.ndim == 4 and t.shape[2] % 2 and t.shape[2] > 1}
    assert {key for key in state if not torch.equal(state[key], new[key])} == odd
    model.load_state_dict(new)
    assert np.isfinite(model(torch.zeros(1, 3, 64, 64)).logits.detach().numpy()).all()
    assert f"{len(odd)} of {len(state)} tensors moved" in capsys.readouterr().out
