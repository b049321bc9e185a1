"""Kernels of every backend on batches and other types, and what they refuse."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from kernel_cases import (
    data,
    every_geometry,
    every_kernel_backend,  # noqa: F401
    results,
)
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
    capabilities,
    get_backend,
)
from refmg_backends.activation import named_activation
from refmg_backends.array_backend import ArrayBackend, with_zero_cell
from refmg_backends.backend import KERNELS


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


@pytest.fixture(params=[1, 2])
def processors(request, monkeypatch):
    """As many as may be, where the tests run in one process or in several."""
    monkeypatch.setattr("refmg_backends.numpy_backend.processors", lambda: request.param)
    return request.param


any_number_of_processors = pytest.mark.usefixtures("processors")


def test_one_processor_begins_no_thread_and_two_do(processors):
    found = set(get_backend("numpy").map(lambda i: threading.get_ident(), range(4)))
    assert (found == {threading.get_ident()}) is (processors == 1)


@any_number_of_processors
def test_batches_come_back_in_order(backend):
    def slowest_first(i):
        time.sleep(0.02 if i == 0 else 0)
        return i

    assert list(backend.map(slowest_first, range(8))) == list(range(8))


@any_number_of_processors
def test_batches_side_by_side_give_the_same_bits_as_one_after_the_other(backend):
    geometry = Geometry((4, 5), (3, 3), "reflect")
    s, Y, _ = map(backend.asarray, data(geometry, draw="floats"))
    kernel, batches = backend.convolution(s, geometry), [(k + 1) / 7 * Y for k in range(6)]
    for ours, alone in zip(backend.map(kernel.apply, batches), map(kernel.apply, batches), strict=True):
        assert backend.to_numpy(ours).tobytes() == backend.to_numpy(alone).tobytes()


@any_number_of_processors
def test_an_error_in_a_batch_reaches_the_caller(backend):
    with pytest.raises(ZeroDivisionError):
        list(backend.map(lambda i: 1 / i, [2, 1, 0, 3]))


@any_number_of_processors
def test_no_batches_give_no_results(backend):
    assert list(backend.map(len, [])) == []


@any_number_of_processors
@pytest.mark.parametrize("taken", [1, 4])
def test_blas_has_its_threads_back_when_the_batches_are_done_or_left(backend, taken):
    def threads():
        return [library["num_threads"] for library in threadpool_info()]

    before, batches = threads(), backend.map(abs, range(4))
    assert [next(batches) for _ in range(taken)] == list(range(taken))
    batches.close() if hasattr(batches, "close") else None
    assert threads() == before


@any_number_of_processors
def test_blas_has_its_threads_back_whatever_the_order_in_which_batches_end(backend):
    def threads():
        return [library["num_threads"] for library in threadpool_info()]

    before, first, second = threads(), backend.map(abs, range(4)), backend.map(abs, range(4))
    assert (next(first), next(second)) == (0, 0)
    assert list(first) == [1, 2, 3]  # ends while the other one goes on
    assert list(second) == [1, 2, 3]
    assert list(zip(backend.map(abs, range(3)), backend.map(abs, range(2)), strict=False)) == [(0, 0), (1, 1)]
    assert threads() == before


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
    adjoint = backend.to_numpy(backend.logits_adjoint(at["W"], at["G"]))
    assert logits.dtype == gradient.dtype == adjoint.dtype == np.dtype(dtype)
    assert np.array_equal(logits, W.T @ Y)
    assert np.array_equal(adjoint, W @ G)
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
