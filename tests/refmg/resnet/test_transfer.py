"""Moving a ResNet: which map each stencil gets, what is kept, what is fitted, what the report says."""

import json

import numpy as np
import pytest

from refmg import RefmgError, convolution_matrix, named_map, prolongation_matrix, restriction_matrix
from refmg.resnet import (
    LayerFit,
    ResNetArchitecture,
    ResNetSwitch,
    ResNetTransferOptions,
    random_resnet,
    resnet_transfer_names,
    transfer_resnet,
)
from refmg.resnet.response_fit import ResponseFit
from refmg.resnet.statistics import reestimate_statistics

EPS = np.finfo(float).eps
A = ResNetArchitecture(
    (8, 8), classes=3, in_channels=2, blocks=(1, 1), widths=(2, 3), opening_stride=1, opening_pool="none"
)
ALONE = ResNetTransferOptions(batch_norm=False)
STENCILWISE = ["linear", "average", "full-weighting", "power-law", "spectrum", "unchanged"]


def problem(backend="numpy", shape=(16, 16), m=24):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *shape, m)).cumsum(axis=1).cumsum(axis=2) / 4
    return random_resnet(A, rng, "float64", backend), x


@pytest.mark.parametrize("shape", [(16, 16), (4, 4), (16, 8)])
@pytest.mark.parametrize("name", STENCILWISE)
def test_each_stencil_goes_by_the_named_map_of_its_stride(name, shape):
    net, x = problem()
    fine = tuple(max(a, b) for a, b in zip(shape, A.shape, strict=True))
    images = x[:, : fine[0], : fine[1]]
    new, _ = transfer_resnet(net, shape, name, images, ALONE)
    assert new.architecture == A.on(shape)
    down = shape == (4, 4)
    factor = tuple(f // min(a, b) for f, a, b in zip(fine, shape, A.shape, strict=True))
    for spec in A.convolutions():
        old, found = (n.parameters[f"{spec.name}.weight"] for n in (net, new))
        if spec.geometry.width == (1, 1) or name == "unchanged":
            assert np.array_equal(old, found)
            continue
        way = named_map(
            name, 3, 2, factor, stride=spec.geometry.stride, closure="least-squares", images=images
        )
        move = way.restrict if down else way.prolong
        # Nine products a tap, which BLAS may sum in another order where the channels lie otherwise.
        largest = np.abs(move(np.eye(9).reshape(1, 9, 3, 3))).sum(axis=1).max() * np.abs(old).max()
        assert np.abs(found - move(old)).max() <= 2 * 9 * EPS * largest
        assert not np.array_equal(found, old)
    for other in ("fc.weight", "fc.bias", "bn1.weight", "layer2.0.downsample.1.bias"):
        assert new.parameters[other] is net.parameters[other]


def test_strided_stencils_may_go_by_the_map_without_a_stride():
    net, _ = problem()
    plain = ResNetTransferOptions(batch_norm=False, strided="plain")
    (own, told), (found, also) = (transfer_resnet(net, (4, 4), "linear", options=o) for o in (ALONE, plain))
    move = named_map("linear", 3, 2).restrict
    for spec in A.convolutions():
        name = f"{spec.name}.weight"
        if spec.geometry.width == (3, 3):
            old, new = net.parameters[name], found.parameters[name]
            assert np.allclose(new, move(old), rtol=0, atol=100 * EPS * np.abs(old).max())  # sums of 9
            assert np.array_equal(new, own.parameters[name]) == (spec.geometry.stride == (1, 1))
    assert told.parts[0].how.endswith("by 'linear'; strided ones by the map for their stride")
    assert also.parts[0].how.endswith("by 'linear'; strided ones as without a stride")
    with pytest.raises(RefmgError, match="unknown strided 'plane'"):
        ResNetTransferOptions(strided="plane")


def test_before_outputs_are_dropped_the_product_of_matrices_is_the_map_without_a_stride():
    """One axis, periodic: S R K P is what the restricted stencil gives with a stride of 2."""
    s, n = np.array([1.0, -2.0, 4.0]), 16
    P, R = (build((n,)).toarray() for build in (prolongation_matrix, restriction_matrix))
    fine, moved, same = (
        convolution_matrix(stencil[None, None], shape).toarray()
        for stencil, shape in ((s, (n,)), (named_map("linear", 3, 1).restrict(s), (n // 2,)), (s, (n // 2,)))
    )
    product = (R @ fine @ P)[::2]
    assert np.allclose(product, moved[::2], rtol=0, atol=100 * EPS)
    assert not np.allclose(product, same[::2])


@pytest.mark.parametrize("name", ["linear", "average"])
def test_up_and_down_again_is_the_identity_of_exact_pairs(name):
    net, _ = problem()
    fine, _ = transfer_resnet(net, (16, 16), name, options=ALONE)
    back, _ = transfer_resnet(fine, (8, 8), name, options=ALONE)
    for spec in A.convolutions():
        if spec.geometry.stride == (1, 1):  # the map of stride 2 is no square one
            old, found = (n.parameters[f"{spec.name}.weight"] for n in (net, back))
            # Condition numbers below 30, sums of 9.
            assert np.abs(old - found).max() <= 30 * 9 * EPS * np.abs(old).max()
    # Predictions over images shrink what they cannot know: no identity.
    fine, _ = transfer_resnet(net, (16, 16), "power-law", options=ALONE)
    back, _ = transfer_resnet(fine, (8, 8), "power-law", options=ALONE)
    assert np.abs(back.parameters["conv1.weight"] - net.parameters["conv1.weight"]).max() > 1e-3


def test_statistics_are_re_estimated_on_images_of_the_new_grid(backend):
    net, x = problem(backend)
    to = backend.to_numpy
    for shape in ((16, 16), (4, 4)):
        fine = x if shape == (16, 16) else x[:, :8, :8]
        new, switch = transfer_resnet(net, shape, "unchanged", fine)
        native = x if shape == (16, 16) else fine.reshape(2, 4, 2, 4, 2, -1).mean(axis=(2, 4))
        expected = reestimate_statistics(net.on(shape), [native])
        for name, found in new.statistics.items():
            truth = to(expected.statistics[name])
            assert np.abs(to(found) - truth).max() <= 4000 * EPS * np.abs(truth).max()
            assert not np.array_equal(to(found), to(net.statistics[name]))
        assert switch.parts[-1].action == "re-estimated"
        assert switch.parts[0].action == "kept"


@pytest.mark.parametrize("shape", [(16, 16), (4, 4)])
def test_calibration_lowers_every_layers_misfit_on_every_backend(backend, shape):
    net, x = problem(backend)
    images = x if shape == (16, 16) else x[:, :8, :8]
    new, switch = transfer_resnet(net, shape, "calibrated", images)
    assert {fit.name for fit in switch.fits} == {spec.name for spec in A.convolutions()}
    assert all(isinstance(fit, LayerFit) and fit.after < fit.before for fit in switch.fits)
    actions = {part.name: part.action for part in switch.parts}
    assert actions == {
        "stencils": "moved",
        "pointwise": "moved",
        "batch-norm scales": "kept",
        "classifier": "moved",
        "momentum": "restarted",
        "batch-norm statistics": "re-estimated",
    }
    # As close to the old logits as unchanged stencils with re-estimated statistics, or closer.
    old_images = images.reshape(2, 8, 2, 8, 2, -1).mean(axis=(2, 4)) if shape == (16, 16) else images
    new_images = images if shape == (16, 16) else images.reshape(2, 4, 2, 4, 2, -1).mean(axis=(2, 4))
    goal = backend.to_numpy(net.logits(backend.asarray(old_images)))
    baseline, _ = transfer_resnet(net, shape, "unchanged", images)
    errors = [
        np.linalg.norm(backend.to_numpy(n.logits(backend.asarray(new_images))) - goal)
        for n in (new, baseline)
    ]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("centred", [False, True])
def test_a_fit_finds_the_stencil_that_made_the_responses(backend, centred):
    """On one grid, with a wrong prior and no ridge; a constant in the response is absorbed if centred."""
    spec = next(c for c in A.convolutions() if c.geometry.stride == (2, 2) and c.geometry.width == (3, 3))
    rng = np.random.default_rng(0)
    s = rng.standard_normal(spec.stencil_shape)
    X = 5 + rng.standard_normal((spec.c_in, spec.geometry.cells, 30))
    Z = backend.to_numpy(backend.convolution(backend.asarray(s), spec.geometry).apply(backend.asarray(X)))
    fit = ResponseFit(backend, spec, spec, "float64", centred, 0.1)
    for part in (slice(0, 11), slice(11, 30)):
        fit.add(backend.asarray(X[..., part].copy()), backend.asarray(Z[..., part] + (7 if centred else 0)))
    found, report = fit.solve(np.zeros(s.shape), 0.0)
    # Normal equations of inputs with mean 5: condition about 1e3, squared sums of 500 numbers.
    assert np.abs(found - s).max() <= 1e7 * EPS
    assert report.after < 1e-9
    assert report.before > 0.9
    wrong, held = fit.solve(np.zeros(s.shape), 10.0)  # a strong prior is kept to
    assert np.abs(wrong).max() < np.abs(s).max()
    assert held.after > report.after


def test_the_report_is_ready_for_json():
    net, x = problem()
    _, switch = transfer_resnet(net, (16, 16), "linear", x)
    assert isinstance(switch, ResNetSwitch)
    record = json.loads(json.dumps(switch.record()))
    assert (record["old"], record["new"], record["images"]) == ([8, 8], [16, 16], 24)
    assert [n["name"] for n in record["norms"]] == [f"{c.name}.weight" for c in A.convolutions()]
    assert record["largest_growth"] == max(n["growth"] for n in record["norms"]) > 5
    assert switch.seconds > 0


def test_images_finer_still_are_restricted_first():
    net, x = problem(shape=(32, 32))
    blocks = x.reshape(2, 16, 2, 16, 2, -1).mean(axis=(2, 4))
    a, b = (transfer_resnet(net, (16, 16), "calibrated", images)[0] for images in (x, blocks))
    assert np.allclose(a.parameters["conv1.weight"], b.parameters["conv1.weight"])


WRONG = {
    r"unknown transfer 'liner' \(did you mean 'linear'": ((16, 16), "liner", True),
    "multiple of the other": ((12, 12), "linear", True),
    "re-estimation of batch-norm statistics .* needs images": ((16, 16), "linear", False),
    "'calibrated' needs images": ((16, 16), "calibrated", False),
    "'spectrum' needs images": ((16, 16), "spectrum", False),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_moved_is_refused(message):
    net, x = problem()
    shape, name, given = WRONG[message]
    with pytest.raises(RefmgError, match=message):
        transfer_resnet(net, shape, name, x if given else None)


def test_images_of_other_channels_and_wrong_options_are_refused():
    net, x = problem()
    with pytest.raises(RefmgError, match="1 channels; expected 2"):
        transfer_resnet(net, (16, 16), "linear", x[:1])
    for options, message in (
        ({"ridge": -1.0}, "ridge"),
        ({"closure": "loose"}, "closure"),
        ({"prior": "calibrated"}, "prior"),
        ({"batch_size": 0}, "batch_size"),
    ):
        with pytest.raises(RefmgError, match=message):
            ResNetTransferOptions(**options)
    assert set(STENCILWISE) | {"calibrated"} < set(resnet_transfer_names())
