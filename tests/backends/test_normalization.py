"""The kernels of batch normalisation against loops over channels, on every backend."""

import itertools

import numpy as np
import pytest
from cuda_on_cpu import NO_COMPILER, ORDER, cupy_on_cpu, has_compiler
from every_backend import BACKENDS

from refmg_backends import RefmgError, get_backend

C, CELLS, M = 3, 8, 4  # 32 numbers a channel: means of integers are exact

ON_CPU = "CUDA kernels on the CPU"
ORDERS = list(itertools.product([False, True], repeat=2))


@pytest.fixture(params=[*BACKENDS, ON_CPU])
def backend(request):
    """Every backend, and the kernels of the GPU's run on the CPU."""
    if request.param != ON_CPU:
        return get_backend(request.param)
    if not has_compiler():
        pytest.skip(NO_COMPILER)
    return cupy_on_cpu()


def integers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(float)


def arrays():
    X, P, Y, base = (integers(C, CELLS, M, seed=k) for k in range(4))
    mean, scale, shift = (integers(C, seed=k) for k in range(4, 7))
    return X, P, Y, base, mean, scale, shift


def host(backend, found):
    return [backend.to_numpy(a) for a in found]


def test_moments_of_integers_are_exact(backend):
    X = arrays()[0]
    mean, variance = host(backend, backend.moments(backend.asarray(X)))
    assert np.array_equal(mean, [channel.mean() for channel in X])
    assert np.array_equal(variance, [((c - c.mean()) ** 2).mean() for c in X])
    assert not np.array_equal(variance, [c.var(ddof=1) for c in X])  # the other variance would be noticed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_variance_far_below_the_means_square_keeps_its_digits(backend, dtype):
    noise = np.random.default_rng(0).standard_normal((C, 64, 16))
    X = (1e3 + noise).astype(dtype)
    mean, variance = host(backend, backend.moments(backend.asarray(X)))
    eps, exact = np.finfo(dtype).eps, X.astype(np.longdouble)
    assert mean.dtype == variance.dtype == np.dtype(dtype)
    # Centred numbers carry the rounding of a mean near 1000, once each; squares of sums would give 1e6 eps.
    assert np.abs(mean - exact.mean(axis=(1, 2))).max() <= 1e3 * 16 * eps
    assert np.abs(variance - exact.var(axis=(1, 2))).max() <= 1e3 * 16 * eps


@pytest.mark.parametrize("with_base", [False, True])
@pytest.mark.parametrize("rectify", [False, True])
def test_normalized_is_scale_shift_base_and_rectifier(backend, with_base, rectify):
    X, _, _, base, mean, scale, shift = arrays()
    expected = np.stack([a * (x - mu) + b for a, x, mu, b in zip(scale, X, mean, shift, strict=True)])
    expected = expected + base if with_base else expected
    expected = np.maximum(expected, 0) if rectify else expected
    under = backend.asarray(base) if with_base else None
    found = backend.normalized(*map(backend.asarray, (X, mean, scale, shift)), under, rectify)
    assert np.array_equal(backend.to_numpy(found), expected)


def test_the_rectifier_hides_no_nan(backend):
    X = np.array([[[np.nan, -1.0, 1.0]]])
    one, zero = np.ones(1), np.zeros(1)
    found = backend.normalized(*map(backend.asarray, (X, zero, one, zero)), None, True)
    assert np.array_equal(backend.to_numpy(found), [[[np.nan, 0.0, 1.0]]], equal_nan=True)


@pytest.mark.parametrize("rectified", [False, True])
def test_rectified_sums_are_exact_in_integers(backend, rectified):
    X, P, Y, _, mean, _, _ = arrays()
    Q = P * (Y > 0) if rectified else P
    output = backend.asarray(Y) if rectified else None
    found = host(backend, backend.rectified_sums(*map(backend.asarray, (P, X, mean)), output))
    assert np.array_equal(found[0], Q)
    assert np.array_equal(found[1], Q.sum(axis=(1, 2)))
    assert np.array_equal(found[2], (Q * (X - mean[:, None, None])).sum(axis=(1, 2)))
    assert (Y == 0).any()  # where the slope is 0 by definition


def test_combined_is_exact_in_integers(backend):
    X, Q, _, _, mean, a, b = arrays()
    c = integers(C, seed=9)
    expected = np.stack([a[k] * Q[k] + b[k] * (X[k] - mean[k]) + c[k] for k in range(C)])
    found = backend.combined(*map(backend.asarray, (Q, X, mean, a, b, c)))
    assert np.array_equal(backend.to_numpy(found), expected)


def wrong_calls(backend):
    def ones(*shape):
        return backend.asarray(np.ones(shape))

    X, v = ones(3, 8, 4), ones(3)
    return {
        "mean": lambda: backend.normalized(X, ones(1), v, v),
        "scale": lambda: backend.normalized(X, v, ones(1), v),
        "shift": lambda: backend.normalized(X, v, v, ones(3, 8)),
        "base": lambda: backend.normalized(X, v, v, v, ones(3, 1, 4)),
        "cotangent": lambda: backend.rectified_sums(ones(3, 8, 1), X, v),
        "output": lambda: backend.rectified_sums(X, X, v, ones(3, 1, 4)),
        "sums' mean": lambda: backend.rectified_sums(X, X, ones(1)),
        "combined": lambda: backend.combined(ones(3, 1, 4), X, v, v, v, v),
        "factor": lambda: backend.combined(X, X, v, v, v, ones(1)),
    }


@pytest.mark.parametrize(
    "name", ["mean", "scale", "shift", "base", "cotangent", "output", "sums' mean", "combined", "factor"]
)
def test_arrays_that_do_not_fit_are_refused(backend, name):
    with pytest.raises(RefmgError, match=r"^found .* of shape \(.*\); expected \(.*\)$"):
        wrong_calls(backend)[name]()


def test_inputs_may_be_read_only_and_are_not_changed(backend):
    given = arrays()
    kept = [a.copy() for a in given]
    for a in given:
        a.setflags(write=False)
    X, P, Y, base, mean, scale, shift = map(backend.asarray, given)
    backend.moments(X)
    backend.normalized(X, mean, scale, shift, base, True)
    backend.rectified_sums(P, X, mean, Y)
    backend.combined(P, X, mean, scale, shift, mean)
    assert all(np.array_equal(a, b) for a, b in zip(given, kept, strict=True))


def every_result(backend, host):
    X, P, Y, base, mean, scale, shift = map(backend.asarray, host)
    found = (
        *backend.moments(X),
        backend.normalized(X, mean, scale, shift, base, True),
        *backend.rectified_sums(P, X, mean, Y),
        backend.combined(P, X, mean, scale, shift, mean),
    )
    return [np.array(backend.to_numpy(a)) for a in found]


@pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)
@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(2, 100, 128), (2, 99, 127)], ids=["whole loads", "single numbers"])
def test_no_order_of_threads_changes_what_several_blocks_sum_up(monkeypatch, order, dtype, sizes):
    """Integers below 10: sums of 13,000 products stay below 2^24, so that == holds in float32 too."""
    for name, value in zip(("backwards", "at_once"), order, strict=True):
        monkeypatch.setattr(ORDER, name, value)
    shapes = [sizes] * 4 + [sizes[:1]] * 3
    host = [integers(*shape, seed=k).astype(dtype) for k, shape in enumerate(shapes)]
    ours, truth = (every_result(b, host) for b in (cupy_on_cpu(), get_backend("numpy")))
    exact = host[0].astype(np.longdouble)
    eps = np.finfo(dtype).eps
    assert np.abs(ours[0] - exact.mean(axis=(1, 2))).max() <= 4 * eps
    assert np.abs(ours[1] - exact.var(axis=(1, 2))).max() <= 4 * eps * exact.var()
    for a, b in zip(ours[2:], truth[2:], strict=True):
        assert np.array_equal(a, b)
