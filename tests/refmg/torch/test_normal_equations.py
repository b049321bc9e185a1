"""Patches against convolutions, streamed normal equations against dense least squares."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="refmg.torch needs the extra 'torch'")
from refmg import RefmgError  # noqa: E402
from refmg.torch.normal_equations import NormalEquations  # noqa: E402
from refmg.torch.patches import as_rows, patches  # noqa: E402

torch.set_num_threads(1)
EPS = np.finfo(np.float64).eps
LAYERS = [
    (torch.nn.Conv1d, dict(kernel_size=3, padding=1), (9,)),
    (torch.nn.Conv1d, dict(kernel_size=4, padding="same"), (9,)),
    (torch.nn.Conv2d, dict(kernel_size=3), (6, 7)),
    (torch.nn.Conv2d, dict(kernel_size=(3, 5), padding=(1, 2), stride=(2, 1), groups=2), (6, 7)),
    (torch.nn.Conv2d, dict(kernel_size=3, padding=1, padding_mode="reflect", stride=2), (6, 7)),
    (torch.nn.Conv2d, dict(kernel_size=3, padding=(2, 1), padding_mode="circular"), (6, 7)),
    (torch.nn.Conv2d, dict(kernel_size=3, padding=1, padding_mode="replicate", groups=4), (6, 7)),
    (torch.nn.Conv2d, dict(kernel_size=2, padding="same", padding_mode="circular"), (6, 7)),
    (torch.nn.Conv2d, dict(kernel_size=1, stride=2, padding="valid"), (6, 7)),
    (torch.nn.Conv3d, dict(kernel_size=3, padding=(0, 1, 2)), (4, 5, 3)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize(("kind", "settings", "grid"), LAYERS)
def test_weights_times_patches_are_the_convolution(kind, settings, grid):
    torch.manual_seed(0)
    layer = kind(4, 8, bias=False, dtype=torch.float64, **settings)
    x = torch.randn(3, 4, *grid, dtype=torch.float64)
    groups = layer.groups
    product = layer.weight.reshape(groups, 8 // groups, -1) @ as_rows(patches(x, layer), groups)
    expected = as_rows(layer(x), groups)
    # Sums of at most 108 products of numbers of order one, in another order.
    assert (product - expected).abs().max() < 200 * EPS * 10


def streamed(x, y, parts, **settings):
    equations = NormalEquations()
    for a, b in zip(x.split(parts, -1), y.split(parts, -1), strict=True):
        equations.add(a, b)
    return equations.solve(**settings)


def dense(x, y, prior, weight, intercept):
    """Solve one group's problem by an explicit matrix: ridge rows below the examples."""
    p = x.shape[0]
    columns = np.vstack([x, np.ones(x.shape[1])]) if intercept else x
    rows = np.vstack([columns.T, np.sqrt(weight) * np.eye(p, columns.shape[0])])
    targets = np.vstack([y.T, np.sqrt(weight) * prior.T])
    found = np.linalg.lstsq(rows, targets, rcond=None)[0].T
    return found[:, :p], found[:, p:].ravel() if intercept else np.zeros(len(y))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 1e-2, 10.0])
def test_the_streamed_solution_is_the_dense_one(intercept, ridge):
    torch.manual_seed(1)
    x = torch.randn(2, 5, 60, dtype=torch.float64) + 3
    y = torch.randn(2, 4, 60, dtype=torch.float64)
    prior = torch.randn(2, 4, 5, dtype=torch.float64)
    found = streamed(x, y, 7, prior=prior, ridge=ridge, intercept=intercept)
    misfits = scale = 0
    for g in range(2):
        about = x[g] - x[g].mean(-1, keepdim=True) if intercept else x[g]
        weight = ridge * float(about.square().sum(-1).mean())
        W, b = dense(x[g].numpy(), y[g].numpy(), prior[g].numpy(), weight, intercept)
        # The moments have condition number below 1e3; sums of 60 terms.
        assert np.abs(found.weights[g].numpy() - W).max() < 1e3 * 60 * EPS * 100
        assert np.abs(found.intercept[g].numpy() - b).max() < 1e3 * 60 * EPS * 100
        misfits += np.square(W @ x[g].numpy() + b[:, None] - y[g].numpy()).sum()
        scale += float((y[g] - (y[g].mean(-1, keepdim=True) if intercept else 0)).square().sum())
    assert found.after == pytest.approx(misfits / scale, rel=1e-9)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("offset", [0, 30, 300, 3000])
def test_features_far_from_zero_lose_no_digits(offset, intercept):
    # In float32, squares of the features themselves would leave errors of offset^2 eps, up to 0.5.
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(1, 5, 3000, generator=generator) + offset
    W = torch.randn(1, 2, 5, generator=generator)
    y = (W.double() @ (x.double() - offset) + offset).float()
    settings = {"prior": torch.zeros(1, 2, 5), "ridge": 1e-2, "intercept": intercept}
    single, double = (streamed(x.to(d), y.to(d), 500, **settings) for d in (torch.float32, torch.float64))
    # Sums of 3000 products of numbers near 1, of errors that cancel for the most part: some eps of float32.
    assert (single.weights - double.weights).abs().max() < 1e-6
    assert abs(single.after - double.after) < 1e-6
    assert abs(single.before - double.before) < 1e-6


def test_inputs_that_never_vary_keep_the_prior():
    x = torch.zeros(1, 3, 20, dtype=torch.float64)
    x[0, 0] = torch.linspace(-1, 1, 20)
    prior = torch.tensor([[[5.0, 6.0, 7.0]]])
    found = streamed(x, 2 * x[:, :1], 20, prior=prior, ridge=0.0, intercept=True)
    # The first by one division; the others are not touched.
    assert found.weights[0, 0].tolist() == pytest.approx([2, 6, 7], abs=1e-12)


def test_a_strong_ridge_returns_the_prior():
    torch.manual_seed(2)
    x, y = torch.randn(1, 3, 20), torch.randn(1, 2, 20)
    prior = torch.randn(1, 2, 3)
    found = streamed(x, y, 20, prior=prior, ridge=1e12, intercept=False)
    assert (found.weights - prior).abs().max() < 1e-10
    assert found.before == pytest.approx(found.after)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(bad):
    x = torch.full((1, 1, 2), bad)
    with pytest.raises(RefmgError, match="NaN or infinite"):
        streamed(x, x, 2, prior=torch.zeros(1, 1, 1), ridge=0.1, intercept=False)
    with pytest.raises(RefmgError, match="found ridge -1"):
        streamed(x, x, 2, prior=torch.zeros(1, 1, 1), ridge=-1, intercept=False)
