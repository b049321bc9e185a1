"""Models that cannot be moved and how that is said; half precision, and what stays as it was."""

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="refmg.torch needs the extra 'torch'")
from model_cases import (  # noqa: E402
    images,
    residual_network,  # noqa: F401
)
from torch import nn  # noqa: E402

from refmg import ClosureError, RefmgError  # noqa: E402
from refmg.torch import (  # noqa: E402  # noqa: E402
    LayerRecord,
    ModelReport,
    TransferOptions,
    model_transfer_names,
    transfer_model,
)

torch.set_num_threads(1)


@pytest.mark.parametrize("error", [AssertionError, TypeError, IndexError, KeyError])
def test_a_model_that_refuses_a_size_in_its_own_way_is_named(error):
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, x):
            if x.shape[-1] != 16:
                raise error("expected 16 cells")
            return self.conv(x)

    with pytest.raises(RefmgError, match=r"does not run on images of shape .*expected 16 cells"):
        transfer_model(Fixed().double(), images(2, 1, 16, 16))


def test_half_precision_is_solved_in_single_and_rounded():
    torch.manual_seed(9)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1)).to(torch.bfloat16)
    moved, report = transfer_model(model, images(4, 1, 8, 8))
    assert moved[0].weight.dtype == torch.bfloat16
    assert report.layers[0].after < report.layers[0].before


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"transfer": "calibratd"}, RefmgError, "did you mean 'calibrated'"),
        ({"direction": "up"}, RefmgError, "unknown direction 'up'"),
        ({"factor": (2, 2, 2)}, RefmgError, "found factor"),
        ({"factor": 3}, RefmgError, "does not divide"),
        ({"factor": 1}, RefmgError, r"found factor \(1, 1\), which changes no axis"),
        ({"images": images(2, 1, 16, 16)}, RefmgError, "does not run on images .* such as it was trained on"),
        ({"images": iter([images(2, 3, 16, 16)])}, RefmgError, "found no images"),
        ({"images": torch.zeros(0, 3, 16, 16)}, RefmgError, "found no images"),
        ({"model": nn.Conv2d(3, 3, 3).state_dict()}, RefmgError, "found OrderedDict as the model"),
        ({"model": nn.Linear(3, 3).double()}, RefmgError, "found no convolution"),
        (
            {"transfer": "linear", "options": TransferOptions(closure="exact")},
            ClosureError,
            "stem: .* does not close",
        ),
    ],
)
def test_bad_input_is_refused(residual, change, error, said):
    with pytest.raises(error, match=said):
        transfer_model(**{"model": residual, "images": images(2, 3, 16, 16)} | change)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ridge": -1.0}, "found ridge"),
        ({"smoothness": -0.1}, "found smoothness"),
        ({"classifier_ridge": float("nan")}, "found classifier_ridge"),
        ({"prior": "liner"}, "did you mean 'linear'"),
        ({"closure": "exactly"}, "unknown closure"),
        ({"batch_size": 0}, "found batch_size"),
    ],
)
def test_bad_options_are_refused(settings, said):
    with pytest.raises(RefmgError, match=said):
        TransferOptions(**settings)


def test_a_weight_that_is_not_finite_is_named(residual):
    with torch.no_grad():
        residual.depthwise.weight[0, 0, 1, 1] = float("inf")
    for transfer in ("calibrated", "linear"):
        with pytest.raises(RefmgError, match="depthwise: found"):
            transfer_model(residual, images(2, 3, 16, 16), transfer=transfer)


def test_refmg_alone_does_not_import_pytorch():
    code = "import sys, refmg; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_pytorch_the_hint_names_the_extra():
    code = "import sys; sys.modules['torch'] = None; import refmg.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'refmg[torch]'" in done.stderr


def test_a_report_has_a_record_for_every_layer(residual):
    model = residual[0] if isinstance(residual, tuple) else residual
    found = transfer_model(model, images(8, 3, 16, 16))
    _, report = found
    assert isinstance(report, ModelReport)
    assert all(isinstance(record, LayerRecord) for record in report.layers)
    assert {"stem", "depthwise", "classifier"} <= {record.name for record in report.layers}
    assert report.as_dict()["transfer"] == report.transfer
    assert "calibrated" in model_transfer_names()
    assert report.transfer in model_transfer_names()
