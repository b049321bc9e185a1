"""Forward and back through blocks and the whole network against explicit matrices, on every backend."""

import numpy as np
import pytest
import scipy.sparse

from refmg import RefmgError, convolution_matrix, get_backend
from refmg.checks import taylor_test
from refmg.resnet import ResNetArchitecture, ResNetPass, random_resnet
from refmg.resnet.batch_norm import EPSILON
from refmg.resnet.steps import Kept, TrainingRun

EPS = np.finfo(float).eps
TINY = ResNetArchitecture((3, 4), classes=3, in_channels=2, blocks=(1, 1), widths=(2, 3), opening_pool="none")
BOUNDARIES = ["zero", "periodic", "reflect"]


def on_boundary(boundary):
    from dataclasses import replace

    return replace(TINY, shape=(5, 4), opening_stride=1, boundary=boundary)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_every_convolution_of_the_network_is_its_matrix_in_integers(backend, boundary):
    """Strided 3 x 3 and 1 x 1 ones: product, transpose and stencil gradient by ==."""
    rng, m = np.random.default_rng(0), 2
    for spec in on_boundary(boundary).convolutions():
        g = spec.geometry
        s = rng.integers(-3, 4, spec.stencil_shape).astype(float)
        Y, Z = (
            rng.integers(-3, 4, n).astype(float)
            for n in ((spec.c_in, g.cells, m), (spec.c_out, g.out_cells, m))
        )
        K = convolution_matrix(s, g.shape, boundary, g.stride)
        kernel = backend.convolution(backend.asarray(s), g)
        forward, back = kernel.apply(backend.asarray(Y)), kernel.apply_transpose(backend.asarray(Z))
        assert np.array_equal(backend.to_numpy(forward).reshape(-1, m), K @ Y.reshape(-1, m))
        assert np.array_equal(backend.to_numpy(back).reshape(-1, m), K.T @ Z.reshape(-1, m))
        G = backend.to_numpy(backend.stencil_gradient(backend.asarray(Y), backend.asarray(Z), g))
        assert float(np.vdot(G, s)) == float(np.vdot(Z.reshape(-1, m), K @ Y.reshape(-1, m)))
        for _ in range(3):  # <G, t> = <Z, K(t) Y> for other stencils too
            t = rng.integers(-3, 4, s.shape).astype(float)
            other = convolution_matrix(t, g.shape, boundary, g.stride)
            assert float(np.vdot(G, t)) == float(np.vdot(Z.reshape(-1, m), other @ Y.reshape(-1, m)))


def jacobian_of_norm(A, weight):
    """The Jacobian of a batch norm in training mode at features ``(C, cells, m)``, a block a channel."""
    blocks = []
    for a, gamma in zip(A.reshape(A.shape[0], -1), weight, strict=True):
        r, n = 1 / np.sqrt(a.var() + EPSILON), a.size
        d = a - a.mean()
        blocks.append(gamma * r * (np.eye(n) - np.ones((n, n)) / n - r * r * np.outer(d, d) / n))
    return scipy.sparse.block_diag(blocks, format="csr")


@pytest.mark.parametrize("rectify", [False, True])
def test_the_way_back_through_a_step_is_the_transpose_of_its_matrices(backend, rectify):
    """Rectifier, batch norm, strided convolution: a diagonal, a dense matrix a channel, a sparse matrix."""
    architecture, m = on_boundary("zero"), 3
    spec = architecture.stages[1][0].first
    net = random_resnet(architecture, 0, "float64", backend)
    rng = np.random.default_rng(1)
    X = rng.standard_normal((spec.c_in, spec.geometry.cells, m))
    P, base = rng.standard_normal((2, spec.c_out, spec.geometry.out_cells, m))
    run = TrainingRun(backend, net.parameters, net.statistics, 0.1, half=False)
    Y = backend.asarray(X)
    out, step = run.forward(spec, Y, run.keep(Y), backend.asarray(base), rectify)
    add = rng.standard_normal(X.shape)
    back, cotangent = run.back(step, backend.asarray(P), add_to=backend.asarray(add))

    stencil = backend.to_numpy(net.parameters[f"{spec.name}.weight"])
    K1 = convolution_matrix(stencil, spec.geometry.shape, "zero", spec.geometry.stride)
    K = scipy.sparse.kron(K1, scipy.sparse.eye_array(m), format="csr")  # examples last, as in the features
    A = (K @ X.ravel()).reshape(P.shape)
    J = jacobian_of_norm(A, np.ones(spec.c_out))
    D = np.where(backend.to_numpy(out) > 0, P, 0) if rectify else P
    size = np.abs(J).max() * np.abs(stencil).max() * P.size
    assert np.array_equal(backend.to_numpy(cotangent), D)
    expected = add.ravel() + K.T @ (J.T @ D.ravel())
    assert np.abs(backend.to_numpy(back).ravel() - expected).max() <= 8 * size * EPS
    # Without the two terms of the statistics the adjoint would be another one.
    wrong = add.ravel() + K.T @ (D / np.sqrt(A.var(axis=(1, 2)) + EPSILON)[:, None, None]).ravel()
    assert np.abs(wrong - expected).max() > 1e-2


def problem(backend, architecture=TINY, m=4):
    rng = np.random.default_rng(0)
    net = random_resnet(architecture, rng, "float64", backend)
    x = rng.standard_normal((2, *architecture.shape, m))
    return net, backend.asarray(x), rng.integers(0, 3, m)


@pytest.mark.parametrize("pool", ["none", "max"])
def test_the_gradient_passes_the_taylor_test(backend, pool):
    from dataclasses import replace

    net, Y, labels = problem(backend, replace(TINY, opening_pool=pool, shape=(8, 6)))
    found = net.loss_and_gradient(Y, labels)
    assert isinstance(found, ResNetPass)
    names, shapes = list(net.parameters), net.architecture.parameter_shapes
    flat = np.concatenate([backend.to_numpy(net.parameters[n]).ravel() for n in names])
    slope = np.concatenate([backend.to_numpy(found.gradient[n]).ravel() for n in names])

    def loss(vector):
        parts = np.split(vector, np.cumsum([np.prod(shapes[n]) for n in names])[:-1])
        moved = {n: backend.asarray(p.reshape(shapes[n])) for n, p in zip(names, parts, strict=True)}
        return float(backend.to_numpy(net.with_arrays(moved).loss_and_gradient(Y, labels).loss))

    def test(gradient):
        # Short steps, which cross no kink of a rectifier.
        rng = np.random.default_rng(2)
        return taylor_test(loss, flat, rng, gradient, first_step=1e-5, steps=4, factor=2.0)

    assert test(slope).passed, str(test(slope))
    assert not test(1.001 * slope).passed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_keeps_the_precision(backend, dtype):
    rng = np.random.default_rng(0)
    net = random_resnet(TINY, rng, dtype, backend)
    Y = backend.asarray(rng.standard_normal((2, 3, 4, 5)), dtype)
    found = net.loss_and_gradient(Y, np.arange(5) % 3)
    arrays = [found.loss, found.logits, *found.gradient.values(), *found.statistics.values(), net.logits(Y)]
    assert {str(backend.to_numpy(a).dtype) for a in arrays} == {dtype}
    assert net.dtype == dtype


def test_half_storage_rounds_what_is_kept_and_nothing_else(backend):
    net, Y, labels = problem(backend)
    if not hasattr(backend.xp, "float16"):
        with pytest.raises(RefmgError, match="no float16"):
            net.loss_and_gradient(Y, labels, storage="half")
        return
    full, half = (net.loss_and_gradient(Y, labels, storage=s) for s in ("full", "half"))
    to = backend.to_numpy
    assert to(full.loss) == to(half.loss)
    assert all(np.array_equal(to(full.statistics[n]), to(half.statistics[n])) for n in net.statistics)
    errors = {n: np.abs(to(full.gradient[n]) - to(half.gradient[n])).max() for n in net.parameters}
    size = max(np.abs(to(g)).max() for g in full.gradient.values())
    # Each kept number is off by 2^-11 of itself; ten layers of norms enlarge that by some factors of 2.
    assert 0 < max(errors.values()) <= 2**-11 * 64 * size
    assert errors["fc.weight"] == errors["fc.bias"] == 0  # before anything that was kept
    with pytest.raises(RefmgError, match="storage"):
        net.loss_and_gradient(Y, labels, storage="quarter")


def test_half_storage_holds_responses_that_float16_does_not(backend):
    """Norms undo the scale of the opening, so the gradient stays what it is but for what was cut off."""
    net, Y, labels = problem(backend)
    if not hasattr(backend.xp, "float16"):
        pytest.skip("no float16 in this backend")
    large = net.with_arrays(
        net.parameters | {"conv1.weight": 1e5 * net.parameters["conv1.weight"]}, net.statistics
    )
    found = large.loss_and_gradient(Y, labels, storage="half")
    assert all(np.isfinite(backend.to_numpy(g)).all() for g in found.gradient.values())


@pytest.mark.parametrize("value", [65504.0, 65520.0, 1e30, 0.1])
def test_what_float16_cannot_hold_is_kept_as_its_largest_number(value):
    X = np.array([[[value, -value]]], "f4")
    kept = Kept(get_backend("numpy"), X, True).get()
    expected = min(value, 65504.0)
    assert kept.dtype == X.dtype
    assert np.abs(kept - np.array([expected, -expected])).max() <= 2**-11 * expected


def test_a_step_moves_the_labels_and_reads_nothing():
    from refmg import get_backend
    from refmg_backends.adversarial_backend import TRANSFERS

    backend = get_backend("adversarial-numpy")
    net, Y, labels = problem(backend)
    targets = net.targets(labels, 4)
    net.loss_and_gradient(Y, targets)  # index tables are moved once
    TRANSFERS.clear()
    net.loss_and_gradient(Y, targets)
    assert (TRANSFERS.to_device, TRANSFERS.to_host, TRANSFERS.scalars) == (0, 0, 0)
    net.loss_and_gradient(Y, labels)
    assert TRANSFERS.to_device == 1
