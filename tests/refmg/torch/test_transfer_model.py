"""Models moved to another resolution: against explicit least squares, and on awkward networks."""

from copy import deepcopy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="refmg.torch needs the extra 'torch'")
from model_cases import (  # noqa: E402
    images,
    residual_network,  # noqa: F401
)
from torch import nn  # noqa: E402

from refmg import RefmgError, named_map, restriction_matrix, stencil_transfer_names  # noqa: E402
from refmg.torch import (  # noqa: E402  # noqa: E402
    TransferOptions,
    reestimate_batch_norm,
    transfer_model,
)
from refmg.torch.images import coarsen, pooled  # noqa: E402
from refmg.torch.patches import as_rows, patches  # noqa: E402
from refmg.torch.tracing import trace  # noqa: E402

torch.set_num_threads(1)

EPS = np.finfo(np.float64).eps


def test_coarsening_is_the_explicit_restriction():
    x = images(2, 3, 4, 6)
    R = restriction_matrix((4, 6), "average", (2, 3)).toarray()
    # Means of six numbers.
    expected = (x.flatten(2) @ torch.from_numpy(R).T).reshape(2, 3, 2, 2)
    assert torch.allclose(coarsen(x, (2, 3)), expected, rtol=0, atol=20 * EPS)
    assert torch.allclose(pooled(x, (2, 2)), expected, rtol=0, atol=20 * EPS)


@pytest.mark.parametrize("direction", ["coarse", "fine"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_gets_the_weights_of_dense_least_squares(direction, stride):
    torch.manual_seed(5)
    layer = nn.Conv2d(2, 3, 3, stride, 1, padding_mode="circular", dtype=torch.float64)
    x = images(7, 2, 8, 8)
    options = TransferOptions(ridge=0.05, smoothness=0.3, batch_size=3)
    moved, report = transfer_model(nn.Sequential(layer), x, 2, direction, options=options)
    given, source = (coarsen(x, 2), x) if direction == "coarse" else (x, coarsen(x, 2))
    z = layer(source).detach()
    # Column t of the design matrix is the response to tap t alone.
    columns = []
    for tap in range(18):
        unit = nn.Conv2d(2, 1, 3, stride, 1, padding_mode="circular", bias=False, dtype=torch.float64)
        unit.weight.data = torch.eye(18, dtype=torch.float64)[tap].reshape(1, 2, 3, 3)
        columns.append(unit(given).detach())
    to_common = (lambda f: f) if direction == "coarse" else (lambda f: coarsen(f, 2))
    X = np.stack([to_common(c).numpy().ravel() for c in columns], axis=1)
    targets = coarsen(z, 2) if direction == "coarse" else z
    Z = np.moveaxis(targets.numpy(), 1, -1).reshape(-1, 3)
    weight = 0.05 * np.mean(np.square(X - X.mean(0)).sum(0))
    # What a response has within coarse cells, of which each fine one is a quarter.
    rough = [c - coarsen(c, 2).repeat_interleave(2, 2).repeat_interleave(2, 3) for c in columns]
    within = np.zeros((0, 18)) if direction == "coarse" else np.stack([r.numpy().ravel() for r in rough], 1)
    smooth = np.sqrt(0.3 / 4) * np.hstack([within, np.zeros((len(within), 1))])
    rows = np.vstack([np.hstack([X, np.ones((len(X), 1))]), smooth, np.sqrt(weight) * np.eye(18, 19)])
    prior = layer.weight.detach().reshape(3, 18).numpy()
    targets = np.vstack([Z, np.zeros((len(smooth), 3)), np.sqrt(weight) * prior.T])
    found = np.linalg.lstsq(rows, targets, rcond=None)[0].T
    # The condition number of the moments is below 1e3, the numbers are of order one.
    assert np.abs(moved[0].weight.detach().numpy().reshape(3, 18) - found[:, :18]).max() < 1e5 * EPS
    assert np.abs(moved[0].bias.detach().numpy() - found[:, 18]).max() < 1e5 * EPS
    left = np.square(X @ found[:, :18].T + found[:, 18] - Z).sum() / np.square(Z - Z.mean(0)).sum()
    assert report.layers[0].after == pytest.approx(left, rel=1e-9)
    assert report.layers[0].before > report.layers[0].after


def test_the_classifier_gets_the_weights_of_dense_ridge_regression(residual):
    x = images(20, 3, 16, 16)
    options = TransferOptions(classifier_ridge=0.2)
    moved, report = transfer_model(residual, x, 2, "coarse", "unchanged", options)
    features = []
    handle = moved.classifier.register_forward_hook(lambda m, given, out: features.append(given[0]))
    moved(coarsen(x, 2))
    handle.remove()
    F, source = features[0].detach().numpy(), deepcopy(residual).eval()
    logits = source(x).detach().numpy()
    weight = 0.2 * np.mean(np.square(F - F.mean(0)).sum(0))
    rows = np.vstack([np.hstack([F, np.ones((20, 1))]), np.sqrt(weight) * np.eye(4, 5)])
    prior = residual.classifier.weight.detach().numpy()
    found = np.linalg.lstsq(rows, np.vstack([logits, np.sqrt(weight) * prior.T]), rcond=None)[0].T
    # A system of five unknowns, with a condition number below 1e3.
    assert np.abs(moved.classifier.weight.detach().numpy() - found[:, :4]).max() < 1e5 * EPS
    assert np.abs(moved.classifier.bias.detach().numpy() - found[:, 4]).max() < 1e5 * EPS
    assert report.layers[-1].action == "calibrated"


@pytest.mark.parametrize("direction", ["coarse", "fine"])
def test_a_pointwise_network_on_piecewise_constant_images_is_kept_exactly(direction):
    torch.manual_seed(6)
    model = nn.Sequential(nn.Conv2d(2, 5, 1), nn.Tanh(), nn.Conv2d(5, 3, 1), nn.Flatten(2)).double()
    x = images(9, 2, 3, 3).repeat_interleave(2, 2).repeat_interleave(2, 3)
    moved, report = transfer_model(model, x, 2, direction)
    for old, new in zip(model.parameters(), moved.parameters(), strict=True):
        # The prior is the solution: what is left is rounding, divided by the smallest moment.
        assert (old - new).abs().max() < 1e4 * EPS
    assert all(layer.before < 1e-12 and layer.after < 1e-12 for layer in report.layers)


@pytest.mark.parametrize("transfer", [n for n in stencil_transfer_names() if n != "full-weighting"])
@pytest.mark.parametrize("direction", ["coarse", "fine"])
def test_stencil_wise_transfers_move_each_stencil(residual, transfer, direction):
    x = images(6, 3, 16, 16)
    options = TransferOptions(classifier=False)
    moved, _ = transfer_model(residual, x, 2, direction, transfer, options)
    expected = deepcopy(residual)
    arrays = np.moveaxis(x.numpy(), 0, -1)
    for layer in (expected.stem, expected.depthwise):
        stencil_map = named_map(transfer, stride=layer.stride, images=arrays, closure="least-squares")
        move = stencil_map.restrict if direction == "coarse" else stencil_map.prolong
        layer.weight.data = torch.from_numpy(move(layer.weight.detach().numpy()))
    reestimate_batch_norm(expected, coarsen(x, 2) if direction == "coarse" else x)
    for name, tensor in expected.state_dict().items():
        # The maps act on stencils alone or side by side: sums of nine products.
        assert torch.allclose(moved.state_dict()[name], tensor, rtol=1e-10, atol=1e-10), name


@pytest.mark.parametrize("transfer", ["calibrated", "linear"])
def test_the_input_is_untouched_and_the_result_is_in_evaluation_mode(residual, transfer):
    before = deepcopy(residual.state_dict())
    moved, report = transfer_model(residual, images(12, 3, 16, 16), 2, "coarse", transfer)
    assert all(torch.equal(before[name], tensor) for name, tensor in residual.state_dict().items())
    assert residual.training
    assert residual.norm.training
    assert not moved.training
    assert not moved.norm.training
    assert not moved._forward_hooks
    assert report.examples == 12
    assert report.factor == (2, 2)
    assert report.seconds > 0
    names = ["stem", "norm", "depthwise", "beside", "classifier"]
    assert [layer.name for layer in report.layers] == names
    assert "12 images without labels" in str(report)
    assert report.as_dict()["layers"][0]["name"] == "stem"


def test_every_part_has_an_option(residual):
    x = images(12, 3, 16, 16)
    options = TransferOptions(batch_norm=False, classifier=False)
    moved, report = transfer_model(residual, x, 2, "coarse", "unchanged", options)
    for name, tensor in residual.state_dict().items():
        assert torch.equal(moved.state_dict()[name], tensor)
    kept = [layer.action for layer in report.layers if layer.name in ("norm", "classifier")]
    assert kept == ["kept: batch_norm=False", "kept: classifier=False"]


def test_sizes_that_do_not_divide_are_matched_on_the_coarser_grid(residual):
    # 18 cells become 9 and 5 by strides; the fine net has 9 where the coarse one has 5.
    for direction in ("coarse", "fine"):
        _, report = transfer_model(residual, images(12, 3, 18, 18), 2, direction)
        assert all(layer.after <= layer.before for layer in report.layers if layer.after is not None)


def test_factors_may_differ_by_axis_and_dimension():
    torch.manual_seed(7)
    model = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv3d(2, 1, 3, padding=1)).double()
    _, report = transfer_model(model, images(3, 1, 6, 6, 5), (2, 3, 1))
    assert report.factor == (2, 3, 1)
    line = nn.Sequential(nn.Conv1d(1, 2, 5, padding=2)).double()
    assert transfer_model(line, images(3, 1, 12), 3, "fine")[1].layers[0].after < 1


def test_shared_modules_are_solved_for_all_their_calls():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return self.layer(torch.tanh(self.layer(x)))

    torch.manual_seed(8)
    moved, report = transfer_model(Twice().double(), images(5, 2, 8, 8))
    assert len(report.layers) == 1
    assert moved.layer.weight.isfinite().all()


def test_inputs_may_be_given_by_name():
    class ByName(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return self.layer(input=x)

    _, report = transfer_model(ByName().double(), images(3, 1, 8, 8))
    assert report.layers[0].after < 1


def test_shared_parameters_are_refused():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)).double()
    model[1].weight = model[0].weight
    with pytest.raises(RefmgError, match="parameters that 0 and 1 share"):
        transfer_model(model, images(2, 1, 12, 12))


def test_layers_that_are_kept_say_why():
    layers = [nn.Conv2d(1, 1, 3, dilation=2, padding=2), nn.ConvTranspose2d(1, 1, 3, padding=1)]
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 3, padding=1))
    model = nn.Sequential(*layers, normed, nn.Conv2d(1, 1, 2), nn.Conv2d(1, 1, 1)).double()
    _, report = transfer_model(model, images(2, 1, 12, 12), transfer="average")
    assert [layer.action for layer in report.layers] == [
        "kept: dilation 2 x 2",
        "kept: transposed",
        "kept: its weights are computed from other parameters",
        "kept: even width 2 x 2",
        "kept: pointwise",
    ]
    _, report = transfer_model(model, images(2, 1, 12, 12))
    assert [layer.action for layer in report.layers[3:]] == ["calibrated", "calibrated"]


class Odd(nn.Module):
    """Layers that have no rule, and one for training alone."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.group = nn.GroupNorm(2, 4)
        self.plain = nn.GroupNorm(2, 4, affine=False)
        self.instance = nn.InstanceNorm2d(4)
        self.running = nn.InstanceNorm2d(4, track_running_stats=True)
        self.batch = nn.BatchNorm2d(4, track_running_stats=False)
        self.channels = nn.Linear(4, 4)
        self.layer = nn.LayerNorm(4)
        self.head, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
        self.auxiliary = nn.Conv2d(4, 2, 3)

    def forward(self, x):
        y = self.batch(self.running(self.instance(self.plain(self.group(self.conv(x))))))
        y = self.layer(self.channels(y.movedim(1, -1))).mean((1, 2)) * self.scale
        return (self.last(self.head(y)), self.auxiliary(y)) if self.training else self.last(self.head(y))


def test_every_layer_without_a_rule_is_listed_with_the_reason():
    torch.manual_seed(10)
    _, report = transfer_model(Odd().double(), images(6, 1, 8, 8))
    assert {layer.name: layer.action for layer in report.layers} == {
        "conv": "calibrated",
        "group": "kept: normalises each image by itself",
        "plain": "kept: normalises each image by itself",
        "instance": "kept: normalises each image by itself",
        "running": "kept: running statistics of the old resolution",
        "batch": "kept: takes statistics of each batch",
        "channels": "kept: not the last linear layer on vectors",
        "layer": "kept: normalises each image by itself",
        "head": "kept: not the last linear layer on vectors",
        "last": "calibrated",
        "": "kept: no rule",
        "auxiliary": "kept: not called in evaluation mode",
    }
    assert report.layers[-1].kind == "Conv2d 3 x 3"


class Branches(nn.Module):
    """A convolution without bias into batch norm, and what else is done with its output."""

    def __init__(self, also):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2)
        self.other, self.also = nn.BatchNorm2d(2), also

    def forward(self, x):
        return self.also(self, self.conv(x))


@pytest.mark.parametrize(
    ("also", "alone"),
    [
        (lambda m, z: m.norm(z), True),
        (lambda m, z: m.norm(z) + m.other(z), True),
        (lambda m, z: m.norm(z).reshape(z.shape), True),
        (lambda m, z: m.norm(z) + z, False),
        (lambda m, z: z.mean() + m.norm(z), False),
        (lambda m, z: torch.cat([z, m.norm(z)]), False),
        (lambda m, z: (m.norm(z), {"features": [z]}), False),
        (lambda m, z: m.norm(torch.relu_(z)), False),
        (lambda m, z: z + 1, False),
    ],
)
def test_only_what_goes_into_batch_norm_alone_gets_an_intercept(also, alone):
    torch.manual_seed(11)
    model = Branches(also).double().eval()
    assert trace(model, images(2, 1, 8, 8))[0].normalized == alone
    x = images(6, 1, 8, 8) + 2
    moved, _ = transfer_model(model, x, options=TransferOptions(ridge=0.0))
    # Without intercept the responses themselves are fitted, with one those about their means.
    with torch.no_grad():
        given, wanted = patches(coarsen(x, 2), model.conv), coarsen(model.conv(x), 2)
    rows, targets = (as_rows(f, 1)[0].numpy() for f in (given, wanted))
    if alone:
        rows, targets = (f - f.mean(1, keepdims=True) for f in (rows, targets))
    expected = np.linalg.lstsq(rows.T, targets.T, rcond=None)[0].T.reshape(2, 1, 3, 3)
    # Moments of 216 examples: their condition number is below 1e4.
    assert np.abs(moved.conv.weight.detach().numpy() - expected).max() < 1e6 * EPS
