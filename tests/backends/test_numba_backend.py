"""The compiled kernels: every shape against the matrix, every number of threads, every activation."""

from __future__ import annotations

import os
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refmg_backends import ArrayBackend, Geometry
from refmg_backends.activation import ACTIVATIONS

numba = pytest.importorskip("numba", reason="kernels compiled by Numba: pip install 'refmg[numba]'")
# Only where there is Numba, which they import.
from numba_cases import NUMBA, NUMPY, in_fresh_process  # noqa: E402

from refmg_backends.numba_backend import NumbaConvolution  # noqa: E402
from refmg_backends.numba_kernels import gradient, winograd  # noqa: E402

REFERENCE = ArrayBackend("reference", NUMPY.xp)

TYPES = ("float32", "float64")

axes = st.integers(1, 3).flatmap(
    lambda d: st.tuples(
        st.tuples(*[st.integers(1, 6)] * d),
        st.tuples(*[st.sampled_from([1, 3, 5])] * d),
        st.tuples(*[st.integers(1, 3)] * d),
    )
)


@st.composite
def problems(draw):
    """A geometry, channels up to two blocks and a rest, examples around the vector width, a type."""
    shape, width, stride = draw(axes)
    geometry = Geometry(shape, width, draw(st.sampled_from(["periodic", "zero", "reflect"])), stride)
    c_out, c_in = draw(st.integers(1, 19)), draw(st.integers(1, 9))
    m = draw(st.sampled_from([1, 7, 8, 15, 16, 17, 32, 33, 80]))
    return geometry, c_out, c_in, m, draw(st.sampled_from(TYPES)), draw(st.integers(0, 99))


@st.composite
def filtered_problems(draw):
    """A problem that minimal filtering can take, once it is allowed few channels."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    geometry = Geometry(shape, (3, 3), draw(st.sampled_from(["periodic", "zero", "reflect"])))
    c_out, c_in = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    m = draw(st.sampled_from([1, 16, 31, 80, 144, 300]))
    return geometry, c_out, c_in, m, draw(st.sampled_from(TYPES)), draw(st.integers(0, 99))


@contextmanager
def filtering_from(channels, wide=False):
    """Minimal filtering from so many channels on; `wide`: by frequency, in chunks of few columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "CHANNELS", channels)
        if wide:
            for name, value in (("WIDE", 0), ("WIDE_GRADIENT", 0), ("CHUNK", (1, 64))):
                patch.setattr(winograd, name, value)
        yield


def arrays(problem, integers):
    geometry, c_out, c_in, m, dtype, seed = problem
    rng = np.random.default_rng(seed)
    shapes = [(c_out, c_in, *geometry.width), (c_in, geometry.cells, m), (c_out, geometry.out_cells, m)]
    draw = (lambda n: rng.integers(-3, 4, n)) if integers else rng.standard_normal
    return [draw(n).astype(dtype) for n in shapes]


def linear_results(backend, s, Y, Z, geometry):
    K = backend.convolution(s, geometry)
    transposed = K.apply_transpose(Z), K.apply_transpose(Z, add_to=Y)
    return K.apply(Y), K.apply(Y, add_to=Z), *transposed, backend.stencil_gradient(Y, Z, geometry)


@settings(deadline=None, max_examples=150)
@given(problems())
def test_small_integers_in_floats_are_exact(problem):
    check_integers(problem)


@settings(deadline=None, max_examples=100)
@given(filtered_problems(), st.booleans())
def test_small_integers_are_exact_by_minimal_filtering(problem, wide):
    with filtering_from(1, wide):
        check_integers(problem)


def check_integers(problem):
    # Sums of fewer than 2^24 / 9 products of at most 9: every partial sum is an integer of float32. With
    # minimal filtering sums of fewer than 2^24 / 16 / 81 products, of multiples of 1/4 below 81.
    s, Y, Z = arrays(problem, integers=True)
    results = (linear_results(backend, s, Y, Z, problem[0]) for backend in (NUMBA, NUMPY))
    for ours, truth in zip(*results, strict=True):
        assert ours.dtype == s.dtype
        assert np.array_equal(ours, truth)


@settings(deadline=None, max_examples=60)
@given(problems(), st.sampled_from(sorted(ACTIVATIONS)), st.booleans(), st.booleans())
def test_fused_steps_are_the_reference_to_rounding(problem, name, with_base, with_slope):
    check_fused_steps(problem, name, with_base, with_slope)


@settings(deadline=None, max_examples=40)
@given(filtered_problems(), st.sampled_from(sorted(ACTIVATIONS)), *[st.booleans()] * 3)
def test_fused_steps_are_the_reference_by_minimal_filtering(problem, name, with_base, with_slope, wide):
    with filtering_from(1, wide):
        check_fused_steps(problem, name, with_base, with_slope, winograd.GROWTH)


def fused_arrays(problem):
    """Stencil of size 1, features, a second array of features' size, and a bias: what a layer meets."""
    s, Y, Z = arrays(problem, integers=False)
    s /= s[0].size
    return s, Y, Z, np.linspace(-1, 1, len(s)).astype(s.dtype)


def fused_results(backend, problem, name, with_base, with_slope, dtype):
    """What a backend computes, by name. Cotangents of a channel have one sign: their sums do not cancel."""
    s, Y, Z, bias = (a.astype(dtype) for a in fused_arrays(problem))
    base = Z if with_base else None
    K, signs = backend.convolution(s, problem[0]), np.where(np.arange(len(Z)) % 2, 1, -1).astype(dtype)
    value, slope = backend.activated(K, Y, bias, ACTIVATIONS[name], base, 0.3, slope=with_slope)
    assert (slope is not None) == with_slope
    Q, sums = backend.cotangent(np.abs(Z), signs[:, None, None] * np.abs(Z), 0.7)
    tangent = backend.tangent(Z, Z, bias, base, 0.5)
    found = {"value": value, "slope": slope, "tangent": tangent, "Q": Q, "sums": sums}
    return {part: array for part, array in found.items() if array is not None}


def fused_bounds(problem, name, with_base, growth):
    """How far float results may be from the exact ones, entry by entry.

    An argument K Y + b is a sum of `terms` products, then the activation: tanh within 8 units in the last
    place, smooth relu's slope 5 times as steep as its argument. Sums have as many terms as there are numbers.
    """
    s, Y, Z, bias = (np.abs(a.astype(np.float64)) for a in fused_arrays(problem))
    eps, terms, by_channel = np.finfo(problem[4]).eps, s[0].size, bias[:, None, None]
    sizes = REFERENCE.convolution(s, problem[0]).apply(Y) + by_channel
    # What minimal filtering adds up belongs to the whole tile.
    arguments = eps * (terms + 4) * (sizes if growth == 1 else growth * sizes.max())
    base, rest = Z if with_base else 0.0, 16 * eps
    slope = {"smooth-relu": 5.0}.get(name, 1.0) * arguments + rest * (1 + sizes)
    return {
        "argument": arguments,
        "value": 0.3 * arguments + rest * (base + sizes),
        "slope": slope,
        "tangent": rest * (base + Z * (Z + by_channel)),
        "Q": rest * Z * Z,
        "sums": eps * (Z[0].size + 16) * np.sum(0.7 * Z * Z, axis=(1, 2)),
    }


def check_fused_steps(problem, name, with_base, with_slope, growth=1.0, backend=NUMBA):
    ours = fused_results(backend, problem, name, with_base, with_slope, problem[4])
    truth = fused_results(REFERENCE, problem, name, with_base, with_slope, "float64")
    bounds = fused_bounds(problem, name, with_base, growth)
    for part, array in ours.items():
        assert array.dtype == np.dtype(problem[4])
        error = np.abs(array - truth[part])
        if part == "slope" and name == "relu":  # it jumps where the argument is zero to rounding
            s, Y, _, bias = (a.astype(np.float64) for a in fused_arrays(problem))
            arguments = REFERENCE.convolution(s, problem[0]).apply(Y) + bias[:, None, None]
            error = np.where(np.abs(arguments) <= bounds["argument"], 0, error)
        assert (error <= bounds[part]).all(), part


class Spoilt(type(NUMBA)):
    """One of the results is a hundredth too large."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def _spoil(self, *parts):
        return tuple(1.01 * a if name == self.part else a for name, a in parts)

    def activated(self, *arguments, **options):
        value, slope = super().activated(*arguments, **options)
        return self._spoil(("value", value), ("slope", slope))

    def tangent(self, *arguments):
        return self._spoil(("tangent", super().tangent(*arguments)))[0]

    def cotangent(self, *arguments):
        return self._spoil(*zip(("Q", "sums"), super().cotangent(*arguments), strict=True))


LARGE = Geometry((4, 4, 4), (5, 5, 5), "reflect"), 9, 9, 17

PLANE = Geometry((7, 7), (3, 3)), 9, 9, 144


@pytest.mark.parametrize("part", ["value", "slope", "tangent", "Q", "sums"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("sizes", "filtered"), [(LARGE, False), (PLANE, False), (PLANE, True)])
@pytest.mark.parametrize("with_base", [True, False])
def test_a_fused_step_that_is_off_by_a_hundredth_is_noticed(part, dtype, sizes, filtered, with_base):
    growth = winograd.GROWTH if filtered else 1.0
    with filtering_from(1 if filtered else 100):
        check_fused_steps((*sizes, dtype, 0), "tanh", with_base, True, growth)
        with pytest.raises(AssertionError, match=part):
            check_fused_steps((*sizes, dtype, 0), "tanh", with_base, True, growth, Spoilt(part))


@pytest.mark.parametrize("dtype", TYPES)
def test_rounding_of_minimal_filtering_grows_by_no_more_than_its_bound(dtype):
    c, m, geometry = winograd.CHANNELS, 48, Geometry((6, 7), (3, 3))
    s, Y, Z = arrays((geometry, c, c, m, dtype, 5), integers=False)
    exact = linear_results(NUMPY, *(a.astype(np.float64) for a in (s, Y, Z)), geometry)
    found = linear_results(NUMBA, s, Y, Z, geometry)
    with filtering_from(c + 1):
        direct = linear_results(NUMBA, s, Y, Z, geometry)
    sizes = linear_results(NUMPY, *(np.abs(a).astype(np.float64) for a in (s, Y, Z)), geometry)
    for ours, plain, truth, size in zip(found, direct, exact, sizes, strict=True):
        assert not np.array_equal(ours, plain)  # or minimal filtering was not used
        # A sum of n products has an error of at most n eps times the sum of their absolute values; those
        # that the transforms meet are at most GROWTH times the largest.
        terms = 9 * c if ours.ndim == 3 else geometry.cells * m
        assert np.abs(ours - truth).max() <= winograd.GROWTH * terms * np.finfo(dtype).eps * size.max()


@pytest.mark.parametrize("dtype", TYPES)
def test_tanh_is_accurate_in_every_range(dtype):
    x = np.concatenate(
        [np.linspace(-25, 25, 4001), np.geomspace(1e-30, 1, 400), -np.geomspace(1e-30, 1, 399)]
    )
    x = np.concatenate([x, np.zeros(-x.size % 16)]).astype(dtype)
    K = NUMBA.convolution(np.ones((1, 1, 1), dtype), Geometry((1,), (1,)))
    found, slope = NUMBA.activated(K, x[None, None], np.zeros(1, dtype), ACTIVATIONS["tanh"], slope=True)
    truth = np.tanh(x.astype(np.longdouble))
    error = np.abs(found[0, 0] - truth) / np.spacing(np.abs(truth).astype(dtype))
    assert error.max() <= 8
    assert (
        np.array_equal(slope[0, 0], 1 - found[0, 0] * found[0, 0])
        or np.abs(slope[0, 0] - (1 - truth**2)).max() <= 16 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("dtype", "large"), [("float32", 1e30), ("float64", 1e300)])
def test_not_a_number_and_infinities_go_through_as_in_numpy(name, dtype, large):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, large, -large, 1 / large, 40.0, -40.0], dtype)
    K = NUMBA.convolution(np.ones((1, 1, 1), dtype), Geometry((1,), (1,)))
    found = NUMBA.activated(K, x[None, None], np.zeros(1, dtype), ACTIVATIONS[name])[0][0, 0]
    with np.errstate(over="ignore"):
        assert np.array_equal(found, ACTIVATIONS[name].value(np, x), equal_nan=True)


def test_an_activation_of_ones_own_is_used_and_not_the_named_one():
    from dataclasses import replace

    other = replace(ACTIVATIONS["tanh"], value=lambda xp, x: 2 * x)
    K = NUMBA.convolution(np.ones((1, 1, 1)), Geometry((1,), (1,)))
    found = NUMBA.activated(K, np.full((1, 1, 8), 3.0), np.zeros(1), other)[0]
    assert (found == 6).all()


@pytest.mark.parametrize("dtype", ["int64", "complex128", "float16"])
def test_other_types_go_to_the_matrix(dtype):
    geometry = Geometry((4, 5), (3, 3))
    s, Y = np.ones((2, 3, 3, 3), dtype), np.ones((3, 20, 4), dtype)
    assert isinstance(NUMBA.convolution(s, geometry), NumbaConvolution)
    if dtype != "float16":  # SciPy has no sparse float16 either
        assert (NUMBA.convolution(s, geometry).apply(Y) == 27).all()
    mixed = NUMBA.convolution(np.ones((2, 3, 3, 3), np.float32), geometry).apply(np.ones((3, 20, 4)))
    assert mixed.dtype == np.float64


_HASH = """
import hashlib
import numpy as np
import numba
from refmg import Architecture, random_network
from refmg.batches import Batches
from refmg.objective import ControlObjective, NetworkObjective
from refmg_backends import Curvature
rng = np.random.default_rng(0)
network = random_network(Architecture((9, 10), channels=CHANNELS, layers=3), 0, "numba", "float32")
x, labels = rng.normal(size=(1, 9, 10, 50)), rng.integers(0, 10, 50)
objective = NetworkObjective(network, [Batches(x, labels, 10, 50, network.backend, "float32")[0]])
vector = objective.vector(network)
gradient = objective.value_and_gradient(vector)[1]
product = objective.gauss_newton(vector)(gradient)
# So many blocks of examples that gradients of whole networks have several blocks a part.
whole = random_network(Architecture((5, 6), channels=8, layers=3), 0, "numba", "float32")
x, labels = rng.normal(size=(1, 5, 6, 1100)), rng.integers(0, 10, 1100)
every = NetworkObjective(whole, [Batches(x, labels, 10, 1100, network.backend, "float32")[0]])
by_whole = every.value_and_gradient(every.vector(whole))[1]
curved_whole = every.gauss_newton(every.vector(whole))(by_whole)
read = ControlObjective(whole, every.batches)
by_read = read.value_and_gradient(read.vector(whole))[1]
curved_read = read.gauss_newton(read.vector(whole))(by_read)
# So many blocks of examples that sums over them have several parts.
Y, p = rng.normal(size=(19, 1500)), rng.random((10, 1500))
fixed = network.backend.fixed_features([Y], 1500, 10)
curved = fixed.product(rng.normal(size=(19, 10)), p[:, 0], Curvature(np, p, p[None], p[None]))[0]
found = gradient, product, by_whole, curved_whole, by_read, curved_read
found = *found, fixed.logits(curved), fixed.gradient(p), curved
print(hashlib.sha256(b"".join(a.tobytes() for a in found)).hexdigest(), numba.get_num_threads())
"""


@pytest.mark.parametrize("channels", [5, winograd.CHANNELS])
def test_no_result_depends_on_the_number_of_threads(channels):
    counts = [n for n in (1, 2, 3) if n <= max(2, os.cpu_count() or 1)]
    program = _HASH.replace("CHANNELS", str(channels))
    found = [in_fresh_process(program, NUMBA_NUM_THREADS=str(n)) for n in counts]
    assert [int(threads) for _, threads in found] == counts
    assert len({digest for digest, _ in found}) == 1


@pytest.mark.parametrize(
    "how",
    [
        "from refmg_backends.numba_kernels import gradient\ngradient.SUMS, gradient.ROWS = 1, 8\n",
        "from refmg_backends.numba_kernels import winograd\nwinograd.WIDE = winograd.WIDE_GRADIENT = 0\n",
    ],
    ids=["blocks of rows", "wide"],
)
def test_no_result_depends_on_the_number_of_threads_however_sums_are_cut(how):
    program = how + _HASH.replace("CHANNELS", str(winograd.CHANNELS))
    found = [in_fresh_process(program, NUMBA_NUM_THREADS=str(n)) for n in (1, 2)]
    assert len({digest for digest, _ in found}) == 1


@pytest.mark.parametrize("channels", [(32, 9), (37, 33), (70, 40)])
@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize("dtype", TYPES)
def test_parts_and_blocks_of_a_gradient_give_the_matrix(monkeypatch, channels, filtered, dtype):
    problem = Geometry((9, 9), (3, 3), "reflect"), *channels, 80, dtype, 0
    for sums in (1, 1 << 15, 1 << 30):
        monkeypatch.setattr(gradient, "SUMS", sums)
        monkeypatch.setattr(gradient, "ROWS", 8)
        with filtering_from(1 if filtered else 100):
            check_integers(problem)


def test_few_rows_make_one_block_and_large_sums_one_part():
    assert gradient.division(rows=16, size=1, wanted=8) == (8, 1)
    assert gradient.division(rows=16, size=1 << 30, wanted=8) == (1, 1)
    assert gradient.division(rows=64, size=1 << 30, wanted=8) == (1, 2)
    for rows, blocks in ((70, 3), (33, 2), (8, 1), (5, 1)):
        ends = [gradient.block_of(rows, k, blocks) for k in range(blocks)]
        assert [first for first, _ in ends] == [0, *(last for _, last in ends[:-1])]
        assert ends[-1][1] == rows


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [5, winograd.CHANNELS])
def test_sums_of_several_parts_have_the_same_bits_each_time(monkeypatch, dtype, channels):
    shapes = []
    for owner, name in ((gradient, "stencil_gradient"), (winograd, "_stencil_gradient")):
        given = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, given=given: shapes.append(a[-1].shape) or given(*a))
    geometry = Geometry((16, 17), (3, 3))
    _, Y, Z = arrays((geometry, channels, channels, 144, dtype, 1), integers=False)
    found = {NUMBA.stencil_gradient(Y, Z, geometry).tobytes() for _ in range(4)}
    assert len(found) == 1
    assert all(shape[0] > 3 for shape in shapes)
    assert len(shapes) == 4
