"""The contract of a backend: its kernels agree with the explicit matrix, in its own arrays."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_on_cpu import NO_COMPILER, cupy_on_cpu, cupyx_stand_in, has_compiler
from every_backend import BACKENDS
from threadpoolctl import threadpool_info

from refmg_backends import (
    Backend,
    ConvolutionKernel,
    Curvature,
    FixedFeatures,
    Geometry,
    RefmgError,
    ResidualNetwork,
    ResidualParameters,
    assemble,
    capabilities,
    get_backend,
)
from refmg_backends.activation import ACTIVATIONS, named_activation
from refmg_backends.array_backend import ArrayBackend, with_zero_cell
from refmg_backends.backend import KERNELS

EPS = np.finfo(np.float64).eps
ON_CPU = pytest.param("cupy on the CPU", marks=pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER))
GEOMETRIES = [
    Geometry(shape, width, boundary, (stride,) * len(shape))
    for shape, width in [
        ((6,), (3,)),
        ((2,), (5,)),
        ((4, 5), (3, 3)),
        ((1, 3), (3, 5)),
        ((3, 2, 4), (3, 3, 3)),
    ]
    for boundary in ("periodic", "zero", "reflect")
    for stride in (1, 2)
]
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
every_channels = pytest.mark.parametrize("channels", [(1, 1), (3, 2)])
EXAMPLES = 3


@pytest.fixture(params=[*BACKENDS, ON_CPU])
def backend(request):
    return cupy_on_cpu() if request.param == "cupy on the CPU" else get_backend(request.param)


def data(geometry, channels=(3, 2), draw="integers", dtype=None):
    """Stencil, input and output features; integers make every comparison exact."""
    rng = np.random.default_rng(geometry.taps)
    shapes = [
        (*channels, *geometry.width),
        (channels[1], geometry.cells, EXAMPLES),
        (channels[0], geometry.out_cells, EXAMPLES),
    ]
    arrays = [rng.integers(-9, 10, n) if draw == "integers" else rng.standard_normal(n) for n in shapes]
    return [a.astype(dtype or a.dtype) for a in arrays]


def gradient_by_matrix(Y, Z, geometry):
    """One explicit matrix a tap and a pair of channels: ``G_oc,j = <Z_o, C_j Y_c>``."""
    G = np.zeros((len(Z), len(Y), geometry.taps), dtype=Y.dtype)
    for o, c, tap in np.ndindex(G.shape):
        unit = np.zeros((1, 1, geometry.taps), dtype=Y.dtype)
        unit[..., tap] = 1
        C = assemble(unit.reshape(1, 1, *geometry.width), geometry)
        G[o, c, tap] = np.vdot(Z[o], C @ Y[c])
    return G.reshape(len(Z), len(Y), *geometry.width)


def results(backend, s, Y, Z, geometry):
    """All kernels, on the host."""
    kernel = backend.convolution(s, geometry)
    made = kernel.apply(Y), kernel.apply_transpose(Z), backend.stencil_gradient(Y, Z, geometry)
    return [np.array(backend.to_numpy(array)) for array in made]


# --- agreement with the matrix --------------------------------------------------------------------


@every_geometry
@every_channels
def test_apply_is_the_matrix(backend, geometry, channels):
    s, Y, _ = data(geometry, channels)
    K = assemble(s, geometry)
    found = backend.to_numpy(backend.convolution(backend.asarray(s), geometry).apply(backend.asarray(Y)))
    assert found.shape == (channels[0], geometry.out_cells, EXAMPLES)
    assert np.array_equal(found.reshape(-1, EXAMPLES), K @ Y.reshape(-1, EXAMPLES))


@every_geometry
@every_channels
def test_apply_transpose_is_the_transposed_matrix(backend, geometry, channels):
    s, _, Z = data(geometry, channels)
    K = assemble(s, geometry)
    found = backend.to_numpy(
        backend.convolution(backend.asarray(s), geometry).apply_transpose(backend.asarray(Z))
    )
    assert found.shape == (channels[1], geometry.cells, EXAMPLES)
    assert np.array_equal(found.reshape(-1, EXAMPLES), K.T @ Z.reshape(-1, EXAMPLES))


@every_geometry
@every_channels
def test_the_stencil_gradient_is_that_of_the_matrices_of_single_taps(backend, geometry, channels):
    _, Y, Z = data(geometry, channels)
    found = backend.to_numpy(backend.stencil_gradient(backend.asarray(Y), backend.asarray(Z), geometry))
    assert np.array_equal(found, gradient_by_matrix(Y, Z, geometry))


@every_geometry
def test_in_floats_the_kernels_agree_to_rounding(backend, geometry):
    s, Y, Z = data(geometry, draw="floats")
    found = results(backend, *map(backend.asarray, (s, Y, Z)), geometry)
    K, columns = assemble(s, geometry), (Y.reshape(-1, EXAMPLES), Z.reshape(-1, EXAMPLES))
    expected = (K @ columns[0], K.T @ columns[1], gradient_by_matrix(Y, Z, geometry))
    # Sums of at most `terms` products, in two orders. Reflection lets an edge be read up to taps times.
    terms = s.size * geometry.taps + Z[0].size
    size = max(np.abs(a).max() for a in (s, Y, Z)) ** 2
    for ours, truth in zip(found, expected, strict=True):
        assert np.abs(ours.ravel() - truth.ravel()).max() <= terms**2 * EPS * size


def test_the_comparison_notices_one_wrong_tap(backend):
    geometry = Geometry((4, 5), (3, 3))
    s, Y, _ = data(geometry)
    wrong = s.copy()
    wrong[2, 1, 0, 2] += 1
    found = backend.to_numpy(backend.convolution(backend.asarray(wrong), geometry).apply(backend.asarray(Y)))
    assert not np.array_equal(found.reshape(-1, EXAMPLES), assemble(s, geometry) @ Y.reshape(-1, EXAMPLES))


# --- good manners ---------------------------------------------------------------------------------


def test_results_are_arrays_of_the_backend(backend):
    geometry = Geometry((4, 5), (3, 3))
    s, Y, Z = map(backend.asarray, data(geometry, draw="floats"))
    kernel = backend.convolution(s, geometry)
    made = kernel.apply(Y), kernel.apply_transpose(Z), backend.stencil_gradient(Y, Z, geometry)
    assert [type(array) for array in made] == [type(backend.xp.zeros(1))] * 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_keep_the_precision(backend, dtype):
    geometry = Geometry((4, 5), (3, 3), "reflect")
    found = results(backend, *map(backend.asarray, data(geometry, dtype=dtype)), geometry)
    assert [array.dtype for array in found] == [np.dtype(dtype)] * 3


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_inputs_are_not_modified(backend, boundary):
    geometry = Geometry((4, 5), (3, 3), boundary)
    host = data(geometry, draw="floats")
    arrays = [backend.asarray(a.copy()) for a in host]
    results(backend, *arrays, geometry)
    for array, kept in zip(arrays, host, strict=True):
        assert np.array_equal(backend.to_numpy(array), kept)


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_read_only_inputs_are_accepted(backend, boundary):
    geometry, host = Geometry((4, 5), (3, 3), boundary), data(Geometry((4, 5), (3, 3)), draw="floats")
    writable = results(backend, *map(backend.asarray, host), geometry)
    for array in host:
        array.setflags(write=False)
    for ours, truth in zip(results(backend, *map(backend.asarray, host), geometry), writable, strict=True):
        assert np.array_equal(ours, truth)


def test_results_do_not_share_memory_with_later_ones(backend):
    geometry = Geometry((4, 5), (3, 3))
    s, Y, _ = map(backend.asarray, data(geometry, draw="floats"))
    kernel = backend.convolution(s, geometry)
    first = kernel.apply(Y)
    kept = np.array(backend.to_numpy(first))
    kernel.apply(2 * Y)
    assert np.array_equal(backend.to_numpy(first), kept)


def of_fixed_features(backend, F, G, W):
    """Products of features with a classifier."""
    p, m = backend.xp.abs(G), F.shape[1]
    fixed = backend.fixed_features([F[:, :100], F[:, 100:]], m, W.shape[1])
    curvature = Curvature(backend.xp, p, p[None, ...], G[None, ...])
    return [fixed.logits(W), fixed.gradient(G), *fixed.product(W, W[0, :], curvature)]


def of_residual_network(backend, s, Y, bias, geometry):
    """Features, tangent and adjoint of two layers; nothing where one goes after the other."""
    xp, square = backend.xp, xp_square(backend.xp, s)
    layers = ResidualParameters(s, xp.stack([square, -square]), xp.stack([bias, -bias]))
    network = backend.residual_network(layers, ACTIVATIONS["tanh"], 0.3, geometry, geometry)
    if network is None:
        return []
    found, linear = network.linearize(Y)
    back = linear.adjoint(found)
    return [network.apply(Y), found, linear.tangent(layers), back.opening, back.stencils, back.biases]


def xp_square(xp, s):
    """Stencils from the first channels to as many."""
    c = s.shape[0]
    return xp.concat([s, s], axis=1)[:, :c, ...]


def bits_of_every_kernel(backend, dtype, channels=(6, 5)):
    """What each of :data:`KERNELS` computes, as bytes; large enough that sums are made in several parts."""
    rng, geometry, m = np.random.default_rng(0), Geometry((9, 10), (3, 3), "reflect"), 80
    shapes = (
        (*channels, 3, 3),
        (channels[1], 90, m),
        (channels[0], 90, m),
        (channels[0],),
        (900, 10),
        (900, 391),
    )
    s, Y, Z, bias, W, F = (backend.asarray(rng.standard_normal(n), dtype) for n in shapes)
    K, tanh = backend.convolution(s, geometry), ACTIVATIONS["tanh"]
    G = backend.asarray(rng.standard_normal((10, 391)), dtype)
    found = {
        "convolution": [K.apply(Y), K.apply_transpose(Z)],
        "stencil_gradient": [backend.stencil_gradient(Y, Z, geometry)],
        "activated": backend.activated(K, Y, bias, tanh, Z, 0.3, slope=True),
        "tangent": [backend.tangent(Z, Z, bias, Z, 0.3)],
        "cotangent": backend.cotangent(Z, Z, 0.3),
        "logits": [backend.logits(W, F)],
        "weight_gradient": [backend.weight_gradient(F, G)],
        "fixed_features": of_fixed_features(backend, F, G, W),
        "residual_network": of_residual_network(backend, s, Y, bias, geometry),
        "moments": backend.moments(Z),
        "normalized": [backend.normalized(Z, bias, bias, bias, Z, True)],
        "rectified_sums": backend.rectified_sums(Z, Z, bias, Z),
        "combined": [backend.combined(Z, Z, bias, bias, bias, bias)],
        "map": list(backend.map(lambda k: K.apply((k + 1) / 7 * Y), range(4))),
    }
    return {name: [backend.to_numpy(a).tobytes() for a in arrays] for name, arrays in found.items()}


def not_repeated(backend, *sizes):
    """Names of the kernels whose second or third run gives other bits than the first."""
    first, *others = (bits_of_every_kernel(backend, *sizes) for _ in range(3))
    assert set(first) == set(KERNELS)
    return [name for name in KERNELS if any(run[name] != first[name] for run in others)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_deterministic_means_the_same_bits_of_every_kernel(backend, dtype):
    assert backend.deterministic
    assert not_repeated(backend, dtype) == []


class Wavering(type(get_backend("numpy"))):
    """One kernel, or the first of its results, is another one each time."""

    def __init__(self, kernel):
        super().__init__()
        self.calls, given = 0, getattr(self, kernel)

        def wavering(*arguments, **options):
            self.calls += 1
            found = given(*arguments, **options)
            if kernel == "map":
                return (self.off_all(a) for a in list(found))
            if kernel == "convolution":
                found.K = self.off(found.K)
                return found
            if kernel == "fixed_features":
                found.parts = [self.off(part) for part in found.parts]
                return found
            if kernel == "residual_network":
                return self.network(*arguments)
            return (self.off(found[0]), *found[1:]) if isinstance(found, tuple) else self.off(found)

        setattr(self, kernel, wavering)

    def network(self, parameters, *_):
        """One that does nothing, but not always the same."""
        linear = SimpleNamespace(tangent=lambda d: d.biases, adjoint=lambda P: parameters)
        return SimpleNamespace(apply=lambda x: x, linearize=lambda x: (self.off(x), linear))

    def off_all(self, a):
        return tuple(self.off(part) for part in a) if isinstance(a, tuple) else self.off(a)

    def off(self, a):
        return (1 + self.calls * EPS) * a


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_that_wavers_is_noticed(kernel):
    assert kernel in not_repeated(Wavering(kernel), "float64")


def wrong_calls(backend):
    """Calls with one array of a wrong shape, by name; what libraries would broadcast among them."""

    def ones(*shape):
        return backend.asarray(np.ones(shape))

    geometry, tanh = Geometry((4, 5), (3, 3)), ACTIVATIONS["tanh"]
    K, Y, Z, b = backend.convolution(ones(3, 2, 3, 3), geometry), ones(2, 20, 8), ones(3, 20, 8), ones(3)
    return {
        "channels": lambda: K.apply(ones(1, 20, 8)),
        "cells": lambda: K.apply(ones(2, 19, 8)),
        "grid": lambda: K.apply(ones(2, 4, 5, 8)),
        "cells and examples": lambda: K.apply(ones(2, 8, 20)),
        "add_to": lambda: K.apply(Y, add_to=ones(3, 20, 1)),
        "transpose": lambda: K.apply_transpose(Y),
        "transpose cells": lambda: K.apply_transpose(ones(3, 10, 16)),
        "transpose add_to": lambda: K.apply_transpose(Z, add_to=ones(1, 20, 8)),
        "gradient examples": lambda: backend.stencil_gradient(Y, Z[..., :7], geometry),
        "gradient cells": lambda: backend.stencil_gradient(Y[:, :19, :], Z, geometry),
        "gradient outputs": lambda: backend.stencil_gradient(Y, ones(3, 10, 16), geometry),
        "layer": lambda: backend.activated(K, ones(2, 19, 8), b, tanh),
        "bias": lambda: backend.activated(K, Y, ones(1), tanh),
        "base": lambda: backend.activated(K, Y, b, tanh, ones(3, 1, 8)),
        "tangent": lambda: backend.tangent(ones(3, 20, 1), Z, b),
        "tangent bias": lambda: backend.tangent(Z, Z, ones(1)),
        "tangent base": lambda: backend.tangent(Z, Z, b, ones(3, 20, 1)),
        "cotangent": lambda: backend.cotangent(ones(3, 1, 8), Z),
        "logits": lambda: backend.logits(ones(4, 3), ones(5, 8)),
        "weight gradient": lambda: backend.weight_gradient(ones(4, 8), ones(3, 7)),
    }


WRONG = list(wrong_calls(get_backend("numpy")))


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_do_not_fit_are_refused_in_one_line_on_every_backend(backend, name):
    with pytest.raises(RefmgError, match=r"^found .* of shape \(.*\); expected \(.*\)$"):
        wrong_calls(backend)[name]()


@pytest.mark.parametrize("name", [n for n in WRONG if n not in ("logits", "weight gradient")])
@pytest.mark.parametrize("method", ["gemm", "explicit"])
def test_arrays_that_do_not_fit_are_refused_by_every_way_of_cupy(monkeypatch, method, name):
    cupyx_stand_in(monkeypatch)
    with pytest.raises(RefmgError, match=r"^found .* of shape \(.*\); expected \(.*\)$"):
        wrong_calls(cupy_on_cpu(method))[name]()


@pytest.mark.parametrize("name", ["channels", "cells", "add_to", "transpose", "transpose add_to"])
def test_integers_that_do_not_fit_are_refused_too(backend, name):
    """They go other ways than floats."""
    geometry = Geometry((4, 5), (3, 3))

    def ones(*shape):
        return backend.asarray(np.ones(shape, int))

    K, Y, Z = backend.convolution(ones(3, 2, 3, 3), geometry), ones(2, 20, 8), ones(3, 20, 8)
    calls = {
        "channels": lambda: K.apply(ones(1, 20, 8)),
        "cells": lambda: K.apply(ones(2, 10, 16)),
        "add_to": lambda: K.apply(Y, add_to=ones(3, 20, 1)),
        "transpose": lambda: K.apply_transpose(Y),
        "transpose add_to": lambda: K.apply_transpose(Z, add_to=ones(1, 20, 8)),
    }
    with pytest.raises(RefmgError, match=r"^found .* of shape \(.*\); expected \(.*\)$"):
        calls[name]()


# --- batches side by side -------------------------------------------------------------------------


def test_batches_come_back_in_order(backend):
    def slowest_first(i):
        time.sleep(0.02 if i == 0 else 0)
        return i

    assert list(backend.map(slowest_first, range(8))) == list(range(8))


def test_batches_side_by_side_give_the_same_bits_as_one_after_the_other(backend):
    geometry = Geometry((4, 5), (3, 3), "reflect")
    s, Y, _ = map(backend.asarray, data(geometry, draw="floats"))
    kernel, batches = backend.convolution(s, geometry), [(k + 1) / 7 * Y for k in range(6)]
    for ours, alone in zip(backend.map(kernel.apply, batches), map(kernel.apply, batches), strict=True):
        assert backend.to_numpy(ours).tobytes() == backend.to_numpy(alone).tobytes()


def test_an_error_in_a_batch_reaches_the_caller(backend):
    with pytest.raises(ZeroDivisionError):
        list(backend.map(lambda i: 1 / i, [2, 1, 0, 3]))


def test_no_batches_give_no_results(backend):
    assert list(backend.map(len, [])) == []


@pytest.mark.parametrize("taken", [1, 4])
def test_blas_has_its_threads_back_when_the_batches_are_done_or_left(backend, taken):
    def threads():
        return [library["num_threads"] for library in threadpool_info()]

    before, batches = threads(), backend.map(abs, range(4))
    assert [next(batches) for _ in range(taken)] == list(range(taken))
    batches.close() if hasattr(batches, "close") else None
    assert threads() == before


def test_blas_has_its_threads_back_whatever_the_order_in_which_batches_end(backend):
    def threads():
        return [library["num_threads"] for library in threadpool_info()]

    before, first, second = threads(), backend.map(abs, range(4)), backend.map(abs, range(4))
    assert (next(first), next(second)) == (0, 0)
    assert list(first) == [1, 2, 3]  # ends while the other one goes on
    assert list(second) == [1, 2, 3]
    assert list(zip(backend.map(abs, range(3)), backend.map(abs, range(2)), strict=False)) == [(0, 0), (1, 1)]
    assert threads() == before


# --- the classifier's products --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("features", "m"), [(1, 1), (3, 7), (9, 16), (70, 65), (200, 391)])
@pytest.mark.parametrize("classes", [1, 3, 5, 10, 12])
def test_products_of_the_classifier_are_those_of_matrices(backend, dtype, features, m, classes):
    rng = np.random.default_rng(features)
    # Sums of at most 391 products below 100 are exact in both precisions.
    W, Y, G = (
        rng.integers(-9, 10, n).astype(dtype) for n in ((features, classes), (features, m), (classes, m))
    )
    at = {name: backend.asarray(array) for name, array in (("W", W), ("Y", Y), ("G", G))}
    logits = backend.to_numpy(backend.logits(at["W"], at["Y"]))
    gradient = backend.to_numpy(backend.weight_gradient(at["Y"], at["G"]))
    assert logits.dtype == gradient.dtype == np.dtype(dtype)
    assert np.array_equal(logits, W.T @ Y)
    assert np.array_equal(gradient, Y @ G.T)


def fixed_problem(rng, features, m, classes, rank, dtype):
    """Whole numbers, so small that sums of m products of them are exact in float32."""
    draw = lambda most, *shape: rng.integers(-most, most + 1, shape).astype(dtype)  # noqa: E731
    d, left, right = draw(2, classes, m), draw(1, rank, classes, m), draw(1, rank, classes, m)
    return draw(1, features, classes), draw(2, features, m), draw(2, classes), (d, left, right)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("features", "sizes"), [(1, (1,)), (3, (5, 16, 2)), (20, (40,)), (7, (300, 99, 130))]
)
@pytest.mark.parametrize(("classes", "rank"), [(1, 0), (3, 1), (10, 2), (17, 1), (33, 1), (70, 1)])
def test_fixed_features_give_the_products_of_matrices(backend, dtype, features, sizes, classes, rank):
    W, Y, mu, (d, left, right) = fixed_problem(np.random.default_rng(classes), features, sum(sizes), classes,
                                               rank, dtype)  # fmt: skip
    there, ends = backend.asarray, np.cumsum(sizes)
    parts = [there(np.ascontiguousarray(Y[:, e - n : e])) for n, e in zip(sizes, ends, strict=True)]
    fixed = backend.fixed_features(iter(parts), sum(sizes), classes)
    curvature = Curvature(backend.xp, there(d), there(left), there(right))
    found = fixed.logits(there(W)), fixed.gradient(there(d)), *fixed.product(there(W), there(mu), curvature)
    logits, gradient, weights, sums = (backend.to_numpy(a) for a in found)
    assert {a.dtype for a in (logits, gradient, weights, sums)} == {np.dtype(dtype)}
    assert np.array_equal(logits, W.T @ Y)
    assert np.array_equal(gradient, Y @ d.T)
    Z = W.T @ Y + mu[:, None]
    # The matrix of each example, written out.
    C = np.einsum("om,op->opm", d, np.eye(classes)) - np.einsum("rom,rpm->opm", left, right)
    CZ = np.einsum("opm,pm->om", C, Z)
    assert np.abs(CZ).max() * np.abs(Y).max() * sum(sizes) < 2**24
    assert np.array_equal(weights, Y @ CZ.T)
    assert np.array_equal(sums, CZ.sum(axis=1))
    assert not np.array_equal(sums, (CZ + d).sum(axis=1)) or not d.any()


def test_fixed_features_are_the_same_bits_each_time(backend):
    if not backend.deterministic:
        pytest.skip(f"{backend.name} does not claim to be deterministic")
    rng = np.random.default_rng(5)
    Y, W, mu = rng.normal(size=(33, 700)), rng.normal(size=(33, 10)), rng.normal(size=10)
    p = rng.random((10, 700))
    at = [backend.asarray(a) for a in (Y, W, mu, p)]
    curvature = Curvature(backend.xp, at[3], at[3][None, ...], at[3][None, ...])

    def once():
        fixed = backend.fixed_features([at[0]], 700, 10)
        found = fixed.logits(at[1]), fixed.gradient(at[3]), *fixed.product(at[1], at[2], curvature)
        return [backend.to_numpy(a).tobytes() for a in found]

    assert once() == once()


# --- arrays in and out ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_arrays_come_back_from_the_backend(backend, dtype):
    x = np.arange(6.0).reshape(2, 3)
    back = backend.to_numpy(backend.asarray(x, dtype))
    assert type(back) is np.ndarray
    assert back.dtype == np.dtype(dtype or "float64")
    assert np.array_equal(back, x)


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_a_number_becomes_an_array_without_axes(backend, dtype):
    there = backend.asarray(2.0, dtype)
    assert there.shape == backend.to_numpy(there).shape == ()
    assert float(there) == 2


def test_lists_become_arrays_of_the_backend(backend):
    assert type(backend.asarray([1.0, 2.0])) is type(backend.xp.zeros(1))


def test_a_backend_says_its_name_and_device(backend):
    assert backend.device.startswith("cuda: " if backend.name == "cupy" else "cpu")
    assert repr(backend) == f"<refmg backend {backend.name!r} on {backend.device}>"


def test_the_zero_cell_is_appended_after_the_last_one(backend):
    X = backend.asarray(np.ones((2, 3, 4)))
    padded = backend.to_numpy(with_zero_cell(backend.xp, X))
    assert padded.shape == (2, 4, 4)
    assert not padded[:, 3].any()
    assert padded[:, :3].all()


def test_gather_reads_zero_outside(backend):
    padded = with_zero_cell(backend.xp, backend.asarray(np.arange(1.0, 4.0).reshape(1, 3, 1)))
    assert backend.to_numpy(backend.gather(padded, np.array([2, -1, 0])))[0, :, 0].tolist() == [3, 0, 1]


@every_geometry
def test_the_reference_kernels_run_on_any_namespace(geometry):
    """The tap-by-tap kernels on plain NumPy, which the numpy backend itself replaces by matrices."""
    plain = ArrayBackend("plain", get_backend("numpy").xp)
    arrays = data(geometry)
    for ours, truth in zip(
        results(plain, *arrays, geometry), results(get_backend("numpy"), *arrays, geometry), strict=True
    ):
        assert np.array_equal(ours, truth)


def missing(protocol, thing):
    """Return what a protocol asks for and a thing does not have."""
    asked = {name for name in vars(protocol) if not name.startswith("_")}
    asked |= set(getattr(protocol, "__annotations__", ()))
    return sorted(name for name in asked if not hasattr(thing, name))


def test_a_backend_and_its_kernel_have_what_they_have_to_have(backend):
    assert missing(Backend, backend) == []
    kernel = backend.convolution(backend.asarray(np.ones((1, 1, 3))), Geometry((4,), (3,), "zero", (1,)))
    assert missing(ConvolutionKernel, kernel) == []
    assert missing(ConvolutionKernel, object()) == ["apply", "apply_transpose"]


def test_capabilities_say_which_kernels_are_a_backends_own():
    class Mine(ArrayBackend):
        def logits(self, W, Y):
            return W.T @ Y

    found = capabilities(Mine("mine", np, "here"))
    assert set(found) == set(KERNELS)
    assert found["logits"] == "own"
    assert {name for name, whose in found.items() if whose == "own"} == {"logits"}


def test_kept_features_have_what_they_have_to_have(backend):
    Y = backend.asarray(np.arange(12.0).reshape(4, 3))
    kept = backend.fixed_features([Y[:, :2], Y[:, 2:]], 3, 2)
    assert missing(FixedFeatures, kept) == []
    assert missing(FixedFeatures, object()) == ["gradient", "logits", "product"]
    W = np.arange(8.0).reshape(4, 2)
    found = backend.to_numpy(kept.logits(backend.asarray(W)))
    assert np.array_equal(found, W.T @ np.arange(12.0).reshape(4, 3))


def test_a_network_as_a_whole_is_none_or_has_what_it_has_to_have(backend):
    one = backend.asarray(np.ones((1, 1, 3)))
    stencils, biases = backend.asarray(np.zeros((2, 1, 1, 3))), backend.asarray(np.zeros((2, 1)))
    grid = Geometry((4,), (3,), "zero", (1,))
    identity = named_activation("identity")
    network = backend.residual_network(ResidualParameters(one, stencils, biases), identity, 0.5, grid, grid)
    assert missing(ResidualNetwork, object()) == ["apply", "linearize"]
    if network is not None:
        assert missing(ResidualNetwork, network) == []
        # Layers of zeros: the opening alone, which sums three neighbours.
        x = backend.asarray(np.arange(4.0).reshape(1, 4, 1))
        assert backend.to_numpy(network.apply(x)).ravel().tolist() == [1.0, 3.0, 6.0, 5.0]
