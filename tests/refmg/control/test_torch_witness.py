"""A foreign witness: the same networks written for PyTorch, differentiated by its own machinery."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refmg import Architecture, Batches, Classifier, NetworkObjective, random_network
from refmg.losses import LOSSES
from refmg.parameters import Parameters
from refmg.propagation import Propagation
from refmg.trajectory import linearized
from refmg_validation.checks.control_problem import PAIRS

torch = pytest.importorskip("torch", reason="the foreign witness needs the extra 'torch'")
torch.set_num_threads(1)
F = torch.nn.functional
# Its own forward differentiation uses what PyTorch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
ACTIVATIONS = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda x: x,
    "smooth-relu": lambda x: torch.where(x.abs() < 0.1, (x + 0.1) ** 2 / 0.4, torch.relu(x)),
}


def convolve(a, s, Y):
    """``K(s) Y`` for Y of shape (m, C, n_1, ..)."""
    d = len(a.shape)
    half = [k // 2 for k in s.shape[2:]]
    around = [h for k in reversed(half) for h in (k, k)]
    padded = F.pad(Y, around, mode="circular") if a.boundary == "periodic" else F.pad(Y, around)
    return (F.conv1d, F.conv2d, F.conv3d)[d - 1](padded, s)


def transposed(a, s, Y):
    """``K(s)^T Y``: the stencil flipped in space, channels exchanged."""
    return convolve(a, torch.flip(s, list(range(2, s.ndim))).transpose(0, 1), Y)


def layer_function(a, s, b, Y):
    sigma = ACTIVATIONS[a.activation]

    def inner(s, b, Y):
        return sigma(convolve(a, s, Y) + b.reshape(1, -1, *(1,) * len(a.shape)))

    if a.layer == "residual":
        return inner(s, b, Y)
    if a.layer == "symmetric":
        return -transposed(a, s, inner(s, b, Y))
    h = a.channels // 2
    y, z = Y[:, :h], Y[:, h:]
    up = transposed(a, s[:h], inner(s[:h], b[:h], z))
    down = -transposed(a, s[h:], inner(s[h:], b[h:], y))
    return torch.cat([up, down], dim=1)


def parameters_at(a, S, B, t, end=False):
    """Controls at the time ``t`` in units of T, by plain interpolation."""
    M = S.shape[0]
    place = t * M
    if a.interpolation == "constant":
        j = min(max(int(np.ceil(place - 1e-9)) - 1, 0) if end else int(place + 1e-9), M - 1)
        return S[j], B[j]
    j = min(int(place + 1e-9), M - 1)
    w, k = (place - j if j < M - 1 else 0.0), min(j + 1, M - 1)
    return (1 - w) * S[j] + w * S[k], (1 - w) * B[j] + w * B[k]


def propagate(a, L, S, B, x):
    Y, N, dt = convolve(a, L, x), a.layers, a.dt

    def f(k, c, Y):
        return layer_function(a, *parameters_at(a, S, B, (k + c) / N, end=c == 1), Y)

    h = a.channels // 2
    V = torch.zeros_like(Y)
    for k in range(N):
        if a.integrator == "euler":
            Y = Y + dt * f(k, 0, Y)
        elif a.integrator == "rk4":
            k1 = f(k, 0, Y)
            k2 = f(k, 0.5, Y + dt / 2 * k1)
            k3 = f(k, 0.5, Y + dt / 2 * k2)
            k4 = f(k, 1, Y + dt * k3)
            Y = Y + dt * (k1 / 6 + k2 / 3 + k3 / 3 + k4 / 6)
        elif a.integrator == "leapfrog":
            V = V + (dt / 2 if k == 0 else dt) * f(k, 0, Y)
            Y = Y + dt * V
        else:
            zero = torch.zeros_like(Y[:, :h])
            rate = f(k, 0, torch.cat([Y[:, :h], zero], 1))[:, h:]
            z = Y[:, h:] + (dt / 2 if k == 0 else dt) * rate
            y = Y[:, :h] + dt * f(k, 0.5, torch.cat([zero, z], 1))[:, :h]
            if k == N - 1:
                z = z + dt / 2 * f(k, 1, torch.cat([y, zero], 1))[:, h:]
            Y = torch.cat([y, z], 1)
    return Y


def losses(name, Z, labels, classes):
    """Summed over the examples; logits of shape (m, classes)."""
    hot = F.one_hot(labels, classes).to(Z.dtype)
    own = Z.gather(1, labels[:, None])
    margins = torch.relu((1 - hot) * (1 + Z - own))
    return {
        "softmax": lambda: F.cross_entropy(Z, labels, reduction="sum"),
        "least-squares": lambda: 0.5 * ((Z - hot) ** 2).sum(),
        "logistic": lambda: F.binary_cross_entropy_with_logits(Z, hot, reduction="sum"),
        "svm": lambda: 0.5 * (margins**2).sum(),
        "hinge": lambda: margins.sum(),
    }[name]()


def to_torch(Y):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(Y, -1, 0)))


def unpack(parameters, vector):
    """The parameters that a torch vector lists, in refmg's order."""
    c, start, found = parameters.controls, 0, []
    for part in (c.opening, c.stencils, c.biases, parameters.classifier.W, parameters.classifier.mu):
        found.append(vector[start : start + part.size].reshape(part.shape))
        start += part.size
    return found


def logits(a, parameters, vector, x):
    L, S, B, W, mu = unpack(parameters, vector)
    Y = propagate(a, L, S, B, x)
    return a.grid.cell_volume * Y.reshape(x.shape[0], -1) @ W.reshape(-1, a.classes) + mu


@st.composite
def architectures(draw):
    layer, integrator = draw(st.sampled_from(PAIRS))
    d = draw(st.integers(1, 3))
    return Architecture(
        tuple(draw(st.lists(st.integers(3, 5), min_size=d, max_size=d))),
        channels=2 * draw(st.integers(1, 2)),
        layers=draw(st.integers(1, 4)),
        final_time=draw(st.sampled_from([0.5, 1.0])),
        boundary=draw(st.sampled_from(["periodic", "zero"])),
        activation=draw(st.sampled_from(sorted(ACTIVATIONS))),
        in_channels=draw(st.integers(1, 2)),
        classes=draw(st.integers(2, 4)),
        layer=layer,
        integrator=integrator,
        control_nodes=draw(st.integers(1, 4)),
        interpolation=draw(st.sampled_from(["linear", "constant"])),
    )


def agree(ours, theirs, scale=None):
    theirs = theirs.detach().numpy()
    size = np.linalg.norm(theirs) if scale is None else scale
    assert np.linalg.norm(np.ravel(ours) - np.ravel(theirs)) <= 1e-10 * max(size, 1e-3)


def compare(a, loss, seed, m=3):
    rng = np.random.default_rng(seed)
    net = random_network(a, 0, "numpy", "float64")
    controls = net.controls.map(lambda c: 0.4 * rng.normal(size=c.shape))
    W, mu = (rng.normal(size=p.shape) for p in (net.classifier.W, net.classifier.mu))
    net = net.with_controls(controls).with_classifier(Classifier(W, mu))
    x, labels = rng.normal(size=(a.in_channels, *a.shape, m)), rng.integers(0, a.classes, m)
    objective = NetworkObjective(net, Batches(x, labels, a.classes, 2, net.backend, "float64"), loss=loss)
    vector, direction = objective.vector(net), rng.normal(size=objective.vector(net).shape)
    parameters, images = Parameters(net.controls, net.classifier), to_torch(x)
    v, d, c = torch.from_numpy(vector), torch.from_numpy(direction), torch.from_numpy(labels)

    def Z(v):
        return logits(a, parameters, v, images)

    def value(v):
        return losses(loss, Z(v), c, a.classes) / m

    gradient = torch.func.grad(value)(v)
    ours = objective.value_and_gradient(vector)
    agree(ours[0], value(v))
    agree(ours[1], gradient)
    # The Jacobian of the features, forward and backward.
    trajectory = linearized(net.propagation, x)
    along = Propagation(
        a, Parameters(net.controls, net.classifier).unflat(np, direction).controls, net.backend
    )

    def features(v):
        L, S, B, _, _ = unpack(parameters, v)
        return propagate(a, L, S, B, images)

    Y, tangent = torch.func.jvp(features, (v,), (d,))
    agree(np.moveaxis(trajectory.Y, -1, 0), Y)
    agree(np.moveaxis(trajectory.tangent(along), -1, 0), tangent)
    P = rng.normal(size=trajectory.Y.shape)
    (back,) = torch.func.vjp(features, v)[1](to_torch(P))
    agree(trajectory.adjoint(P).flat(np), back[: net.controls.size])
    # Gauss-Newton: J^T H J d, each factor by torch.func.
    here, dZ = torch.func.jvp(Z, (v,), (d,))
    _, curved = torch.func.jvp(torch.func.grad(lambda z: losses(loss, z, c, a.classes) / m), (here,), (dZ,))
    (product_,) = torch.func.vjp(Z, v)[1](curved)
    agree(objective.gauss_newton(vector)(direction), product_)


@settings(deadline=None, max_examples=30)
@given(architectures(), st.sampled_from(sorted(LOSSES)), st.integers(0, 2**16))
def test_pytorch_agrees_at_random_shapes(a, loss, seed):
    compare(a, loss, seed)


@pytest.mark.parametrize(("pair", "loss"), list(product(PAIRS, LOSSES)))
def test_pytorch_agrees_for_every_layer_integrator_and_loss(pair, loss):
    layer, integrator = pair
    a = Architecture(
        (4, 3), channels=2, layers=3, classes=3, layer=layer, integrator=integrator, control_nodes=2
    )
    compare(a, loss, 1)


def test_the_witness_contradicts_a_wrong_network(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "tanh", lambda x: torch.tanh(1.000001 * x))
    with pytest.raises(AssertionError):
        compare(Architecture((4, 3), channels=2, classes=3), "softmax", 1)
