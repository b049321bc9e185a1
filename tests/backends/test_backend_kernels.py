"""The contract of a backend: its kernels agree with the explicit matrix, in its own arrays."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from cuda_on_cpu import cupy_on_cpu, cupyx_stand_in
from kernel_cases import (
    EXAMPLES,
    data,
    every_geometry,
    every_kernel_backend,  # noqa: F401
    results,
)

from refmg_backends import (
    Curvature,
    Geometry,
    RefmgError,
    ResidualParameters,
    assemble,
    get_backend,
)
from refmg_backends.activation import ACTIVATIONS
from refmg_backends.backend import KERNELS

EPS = np.finfo(np.float64).eps

every_channels = pytest.mark.parametrize("channels", [(1, 1), (3, 2)])


def gradient_by_matrix(Y, Z, geometry):
    """One explicit matrix a tap and a pair of channels: ``G_oc,j = <Z_o, C_j Y_c>``."""
    G = np.zeros((len(Z), len(Y), geometry.taps), dtype=Y.dtype)
    for o, c, tap in np.ndindex(G.shape):
        unit = np.zeros((1, 1, geometry.taps), dtype=Y.dtype)
        unit[..., tap] = 1
        C = assemble(unit.reshape(1, 1, *geometry.width), geometry)
        G[o, c, tap] = np.vdot(Z[o], C @ Y[c])
    return G.reshape(len(Z), len(Y), *geometry.width)


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
    W = xp.stack([xp.reshape(Z[..., 0], (-1,)) for Z in (found, -found, found * found)], axis=1)
    logits, read = network.linearize(Y, W)
    to_read = read.adjoint(logits, W)
    given = [network.apply(Y), found, linear.tangent(layers), back.opening, back.stencils, back.biases]
    return [*given, logits, read.tangent(layers, W), to_read.opening, to_read.stencils, to_read.biases]


def xp_square(xp, s):
    """Stencils from the first channels to as many."""
    c = s.shape[0]
    return xp.concat([s, s], axis=1)[:, :c, ...]


def momentum(backend, arrays):
    moved, velocity = backend.momentum_step(arrays, arrays, None, 0.1, 0.9, 0.01)
    return [*moved, velocity]


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
        "logits_adjoint": [backend.logits_adjoint(W, G)],
        "weight_gradient": [backend.weight_gradient(F, G)],
        "fixed_features": of_fixed_features(backend, F, G, W),
        "residual_network": of_residual_network(backend, s, Y, bias, geometry),
        "moments": backend.moments(Z),
        "normalized": [backend.normalized(Z, bias, bias, bias, Z, True)],
        "rectified_sums": backend.rectified_sums(Z, Z, bias, Z),
        "combined": [backend.combined(Z, Z, bias, bias, bias, bias)],
        "max_pool": backend.max_pool(Z, geometry, choice=True),
        "max_pool_adjoint": [backend.max_pool_adjoint(backend.max_pool(Z, geometry, True)[1], Z, geometry)],
        "momentum_step": momentum(backend, [s, bias, W]),
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
            if kernel == "momentum_step":
                return [self.off(a) for a in found[0]], found[1]
            return (self.off(found[0]), *found[1:]) if isinstance(found, tuple) else self.off(found)

        setattr(self, kernel, wavering)

    def network(self, parameters, *_):
        """One that does nothing, but not always the same."""
        linear = SimpleNamespace(tangent=lambda d, *_: d.biases, adjoint=lambda P, *_: parameters)
        return SimpleNamespace(apply=lambda x, *_: x, linearize=lambda x, *_: (self.off(x), linear))

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
        "logits adjoint": lambda: backend.logits_adjoint(ones(4, 3), ones(4, 8)),
        "weight gradient": lambda: backend.weight_gradient(ones(4, 8), ones(3, 7)),
    }


WRONG = list(wrong_calls(get_backend("numpy")))


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_do_not_fit_are_refused_in_one_line_on_every_backend(backend, name):
    with pytest.raises(RefmgError, match=r"^found .* of shape \(.*\); expected \(.*\)$"):
        wrong_calls(backend)[name]()


@pytest.mark.parametrize(
    "name", [n for n in WRONG if n not in ("logits", "logits adjoint", "weight gradient")]
)
@pytest.mark.parametrize("method", ["gemm", "explicit"])
def test_arrays_that_do_not_fit_are_refused_by_every_way_of_cupy(monkeypatch, method, name):
    cupyx_stand_in(monkeypatch)
    with pytest.raises(RefmgError, match=r"^found .* of shape \(.*\); expected \(.*\)$"):
        wrong_calls(cupy_on_cpu(method))[name]()
