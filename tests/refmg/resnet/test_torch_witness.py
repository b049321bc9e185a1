"""The same network in PyTorch: logits, gradient, running statistics, and steps of SGD, to rounding."""

import numpy as np
import pytest

from refmg.resnet import (
    ResNetArchitecture,
    ResNetEpoch,
    ResNetTraining,
    from_state_dict,
    random_resnet,
    to_state_dict,
    train_resnet,
)

torch = pytest.importorskip("torch")
from refmg_validation.bench.torch_resnet import TorchResNet, for_torch, torch_twin  # noqa: E402

EPS = np.finfo(np.float64).eps
SHAPES = {
    "no pool, even grid": ((8, 12), {"opening_stride": 1, "opening_pool": "none"}),
    "as the paper's, odd grids": ((19, 14), {}),
    "34 layers": ((32, 32), {"blocks": (3, 4, 6, 3), "widths": (4, 8, 16, 32)}),
}
# Sums of some thousand terms pass through up to 36 normalisations; measured: below 200 eps of the largest
# entry.
ROUNDING = 4000 * EPS


def near(ours, theirs):
    """Whether all arrays agree, each to rounding of its largest entry or of 1e-2."""
    assert set(ours) == set(theirs)
    return [
        name
        for name in ours
        if not np.abs(ours[name] - theirs[name]).max() <= ROUNDING * max(1e-2, np.abs(theirs[name]).max())
    ]


def problem(name, backend, seed=0):
    shape, options = SHAPES[name]
    sizes = {"classes": 4, "in_channels": 2, "blocks": (1, 2), "widths": (3, 5)}
    a = ResNetArchitecture(shape, **sizes | options)
    rng = np.random.default_rng(seed)
    net = random_resnet(a, rng, "float64", backend)
    x, labels = rng.standard_normal((2, *shape, 6)), rng.integers(0, 4, 6)
    state = to_state_dict(net)
    for key, value in state.items():  # norms that are not the identity
        if "bn" in key or "downsample.1" in key:
            state[key] = value + (rng.random(value.shape) if value.dtype.kind == "f" else 0)
    return from_state_dict(a, state, backend), x, labels


def host(backend, arrays):
    return {name: backend.to_numpy(array) for name, array in arrays.items()}


@pytest.mark.parametrize("name", SHAPES)
def test_logits_gradient_and_statistics_are_those_of_pytorch(backend, name):
    net, x, labels = problem(name, backend)
    twin = torch_twin(net)
    Y = backend.asarray(x)
    logits = twin.eval()(for_torch(x)).detach().numpy().T
    assert np.abs(backend.to_numpy(net.logits(Y)) - logits).max() <= ROUNDING * np.abs(logits).max()

    loss = torch.nn.functional.cross_entropy(twin.train()(for_torch(x)), torch.from_numpy(labels))
    loss.backward()
    found = net.loss_and_gradient(Y, labels)
    assert abs(float(backend.to_numpy(found.loss)) - loss.item()) <= ROUNDING * loss.item()
    gradient = {k: p.grad.numpy() for k, p in twin.named_parameters()}
    assert near(host(backend, found.gradient), gradient) == []
    statistics = {k: v.numpy() for k, v in twin.named_buffers() if "num_batches" not in k}
    assert near(host(backend, found.statistics), statistics) == []
    # The comparison would notice one entry off by a thousandth.
    wrong = dict(gradient) | {"conv1.weight": gradient["conv1.weight"] * (1 + 1e-3)}
    assert near(host(backend, found.gradient), wrong) == ["conv1.weight"]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "steps"])
def test_steps_of_sgd_are_those_of_pytorch(schedule):
    net, x, labels = problem("as the paper's, odd grids", "numba" if schedule == "cosine" else "numpy")
    settings = ResNetTraining(
        learning_rate=0.05, momentum=0.9, weight_decay=0.01, schedule=schedule, milestones=(1,), epochs=3
    )
    twin = torch_twin(net).train()
    sgd = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    schedulers = {
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(sgd, factor=1.0),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=3),
        "steps": lambda: torch.optim.lr_scheduler.MultiStepLR(sgd, milestones=[1], gamma=0.1),
    }
    scheduler, losses = schedulers[schedule](), []
    parts = [slice(0, 4), slice(4, 6)]
    for _ in range(3):
        total = 0.0
        for part in parts:
            sgd.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                twin(for_torch(x[..., part])), torch.from_numpy(labels[part])
            )
            loss.backward()
            sgd.step()
            total += loss.item() * (part.stop - part.start) / 6
        losses.append(total)
        scheduler.step()
    states = list(train_resnet(net, lambda epoch: [(x[..., p], labels[p]) for p in parts], settings))
    # Six steps of a network with kinks: rounding of a step passes through the next one's derivative.
    assert np.abs(np.array([s.loss for s in states]) - losses).max() <= 100 * ROUNDING
    theirs = {k: v.numpy() for k, v in twin.state_dict().items() if "num_batches" not in k}
    ours = states[-1].net.as_arrays()
    assert max(np.abs(ours[k] - theirs[k]).max() for k in theirs) <= 100 * ROUNDING
    moved = torch_twin(net).state_dict()
    assert max(np.abs(ours[k] - moved[k].numpy()).max() for k in theirs) > 1e-3
    assert isinstance(states[-1], ResNetEpoch)


def test_a_state_dict_goes_there_and_back():
    torch.manual_seed(0)
    a = ResNetArchitecture((8, 8), blocks=(1, 1), widths=(2, 4))
    model = TorchResNet(a)
    net = from_state_dict(a, model.state_dict(), "numpy")
    back = to_state_dict(net)
    assert list(back) == list(model.state_dict())
    assert all(np.array_equal(back[k], v.numpy()) for k, v in model.state_dict().items())
    assert net.dtype == "float32"
