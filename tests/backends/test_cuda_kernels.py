"""The CUDA source itself, run on the CPU against explicit matrices, and compiled for a GPU where nvcc is."""

from __future__ import annotations

import itertools
import re

import cuda_on_cpu
import numpy as np
import pytest
from cuda_on_cpu import NAMESPACE, NO_COMPILER, ORDER, DeviceArray, Kernel, cupy_on_cpu, library

from refmg_backends import ArrayBackend, Geometry, RefmgError, assemble
from refmg_backends.activation import ACTIVATIONS
from refmg_backends.cuda_kernels import launch, tiles
from refmg_backends.cuda_kernels.launch import Variant, source

needs_compiler = pytest.mark.skipif(not cuda_on_cpu.has_compiler(), reason=NO_COMPILER)

every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

BOUNDARIES = ("periodic", "zero", "reflect")

REFERENCE = ArrayBackend("reference", NAMESPACE)

ORDERS = list(itertools.product([False, True], repeat=2))


def name_of(order):
    return f"{('forwards', 'backwards')[order[0]]}-{('late', 'at once')[order[1]]}"


@pytest.fixture(params=ORDERS, ids=name_of)
def order(request, monkeypatch):
    """The order in which threads reach a barrier, and when copies land: no result may depend on it."""
    for name, value in zip(("backwards", "at_once"), request.param, strict=True):
        monkeypatch.setattr(ORDER, name, value)


def arrays(backend, dtype, *shapes, seed=0):
    """Integers as floats, so that every order of summation gives the same."""
    rng = np.random.default_rng(seed)
    host = [rng.integers(-9, 10, shape).astype(dtype) for shape in shapes]
    return host, [backend.asarray(a) for a in host]


def compare_with_the_matrix(backend, geometry, channels, m, dtype):
    shapes = (
        (*channels, *geometry.width),
        (channels[1], geometry.cells, m),
        (channels[0], geometry.out_cells, m),
    )
    (s, Y, Z), (s_there, Y_there, Z_there) = arrays(backend, dtype, *shapes)
    K, kernel = assemble(s, geometry), backend.convolution(s_there, geometry)
    found = kernel.apply(Y_there, add_to=Z_there)
    assert np.array_equal(backend.to_numpy(found).reshape(-1, m), Z.reshape(-1, m) + K @ Y.reshape(-1, m))
    found = kernel.apply_transpose(Z_there, add_to=Y_there)
    assert np.array_equal(backend.to_numpy(found).reshape(-1, m), Y.reshape(-1, m) + K.T @ Z.reshape(-1, m))
    found = backend.to_numpy(backend.stencil_gradient(Y_there, Z_there, geometry))
    assert np.array_equal(found, gradient_of(Y, Z, geometry).reshape(found.shape))


def gradient_of(Y, Z, geometry):
    """One product a tap; exact, as sums of these integers are far below 2^24."""
    shifted = (np.where((row >= 0)[None, :, None], Y[:, row, :], 0) for row in geometry.table)
    return np.stack([np.einsum("oie,cie->oc", Z, read) for read in shifted], -1)


@needs_compiler
@every_dtype
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("shape", "width"),
    [((6,), (3,)), ((2,), (5,)), ((4, 5), (3, 3)), ((1, 3), (3, 5)), ((3, 2, 4), (3, 3, 3))],
)
def test_every_geometry_gives_the_matrix(order, dtype, boundary, stride, shape, width):
    geometry = Geometry(shape, width, boundary, (stride,) * len(shape))
    for m in (4, 5):  # loads of 16 bytes, and of single numbers
        compare_with_the_matrix(cupy_on_cpu("direct"), geometry, (3, 2), m, dtype)


# Of many tiles, each of both choices with one of the other; all are tried at every geometry.
FEW_ORDERS = [
    pytest.param(order, marks=() if order[0] == order[1] else pytest.mark.slow, id=name_of(order))
    for order in ORDERS
]


@needs_compiler
@every_dtype
@pytest.mark.parametrize("order", FEW_ORDERS, indirect=True)
@pytest.mark.parametrize("channels", [(1, 1), (8, 8), (11, 9), (16, 3), (25, 17), (70, 5), (64, 20), (9, 70)])
@pytest.mark.parametrize(
    "m", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(8, marks=pytest.mark.slow), 36]
)
def test_every_tile_gives_the_matrix(order, dtype, channels, m):
    compare_with_the_matrix(cupy_on_cpu("direct"), Geometry((3, 4), (3, 3), "reflect"), channels, m, dtype)


@needs_compiler
@every_dtype
@pytest.mark.parametrize("m", [40, 33])
def test_many_parts_of_a_gradient_give_their_sum(order, dtype, m):
    backend, geometry = cupy_on_cpu("direct"), Geometry((6, 7), (3, 3), "zero")
    steps = -(-geometry.out_cells * m // tiles.gradient_depth(np.dtype(dtype).itemsize))
    assert tiles.gradient_parts(tiles.gradient_tile(3), 3, 18, steps)[0] > 8
    compare_with_the_matrix(backend, geometry, (3, 2), m, dtype)


@needs_compiler
def test_arrays_that_begin_anywhere_or_lie_otherwise_are_taken():
    backend, geometry = cupy_on_cpu("direct"), Geometry((5,), (3,))
    (s, Y), (s_there, _) = arrays(backend, "float32", (2, 2, 3), (2, 5, 4))
    flat = backend.asarray(np.concatenate([[0], Y.ravel()]).astype("float32"))
    views = [
        NAMESPACE.reshape(flat[1:], Y.shape),  # 4 bytes off
        NAMESPACE.permute_dims(backend.asarray(Y.transpose(2, 1, 0).copy()), (2, 1, 0)),
    ]
    expected = assemble(s, geometry) @ Y.reshape(-1, 4)
    for view in views:
        found = backend.convolution(s_there, geometry).apply(view)
        assert np.array_equal(backend.to_numpy(found).reshape(-1, 4), expected)


def smooth(dtype, *shapes):
    rng = np.random.default_rng(1)
    return [DeviceArray((0.3 * rng.standard_normal(shape)).astype(dtype)) for shape in shapes]


def close(ours, truth, dtype, terms):
    """Sums of `terms` products of numbers below 4, and one function whose rounding is a few eps."""
    ours, truth = (np.asarray(a._values, float) for a in (ours, truth))
    assert np.abs(ours - truth).max() <= 4 * (terms + 8) * np.finfo(dtype).eps


@needs_compiler
@pytest.mark.parametrize(
    ("dtype", "m"),
    [("float32", 4), ("float32", 3), ("float64", 3), pytest.param("float64", 4, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("method", ["direct", "gemm"])
@pytest.mark.parametrize("extras", [False, True])
def test_a_layer_is_that_of_the_reference(dtype, name, method, m, extras):
    geometry, backend = Geometry((3, 4), (3, 3)), cupy_on_cpu(method)
    s, Y, bias, base = smooth(dtype, (3, 2, 3, 3), (2, 12, m), (3,), (3, 12, m))
    options = {"base": base if extras else None, "scale": 0.25 if extras else 1.0, "slope": extras}
    ours, truth = (
        b.activated(b.convolution(s, geometry), Y, bias, ACTIVATIONS[name], **options)
        for b in (backend, REFERENCE)
    )
    close(ours[0], truth[0], dtype, terms=18)
    assert (ours[1] is None) is (not extras)
    if extras and name != "relu":
        # The smooth relu's slope is 5 times its argument.
        close(ours[1], truth[1], dtype, terms=5 * 18)
    elif extras:
        assert np.mean(ours[1]._values == truth[1]._values) > 0.98  # a jump, where x is rounded


@needs_compiler
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_nan(name):
    backend, geometry = cupy_on_cpu("direct"), Geometry((3,), (3,))
    s, bias = smooth("float64", (1, 1, 3), (1,))
    Y = DeviceArray(np.full((1, 3, 2), np.nan))
    found = backend.activated(backend.convolution(s, geometry), Y, bias, ACTIVATIONS[name])[0]
    assert np.isnan(backend.to_numpy(found)).all()


@needs_compiler
@every_dtype
@pytest.mark.parametrize("shape", [(3, 5, 3), (2, 6, 4), (1, 700, 16)])
@pytest.mark.parametrize("with_base", [False, True])
def test_tangent_and_cotangent_are_those_of_the_reference(order, dtype, shape, with_base):
    backend = cupy_on_cpu()
    slope, X, bias, base = smooth(dtype, shape, shape, shape[:1], shape)
    under = base if with_base else None
    ours, truth = (b.tangent(slope, X, bias, under, 0.5) for b in (backend, REFERENCE))
    close(ours, truth, dtype, terms=1)
    (ours, sums), (truth, added) = (b.cotangent(slope, X, 0.5) for b in (backend, REFERENCE))
    close(ours, truth, dtype, terms=1)
    assert sums.shape == shape[:1]
    close(sums, added, dtype, terms=shape[1] * shape[2])


def beginning_at(array, off):
    """The same numbers, `off` bytes behind a 16-byte boundary."""
    host = array._values
    buffer = np.empty(host.nbytes + 32, np.uint8)
    first = -buffer.ctypes.data % 16 + off
    there = buffer[first : first + host.nbytes].view(host.dtype).reshape(host.shape)
    there[...] = host
    return DeviceArray(there)


def every_kernel(backend, geometry, arrays):
    s, Y, Z, bias = arrays
    K = backend.convolution(s, geometry)
    value, slope = backend.activated(K, Y, bias, ACTIVATIONS["tanh"], Z, 0.3, slope=True)
    made = {"convolve": K.apply(Y), "transpose": K.apply_transpose(Z), "value": value, "slope": slope}
    made["stencil gradient"] = backend.stencil_gradient(Y, Z, geometry)
    made["tangent"] = backend.tangent(Z, Z, bias, Z, 0.3)
    made["Q"], made["sums"] = backend.cotangent(Z, Z, 0.3)
    return {name: backend.to_numpy(a).tobytes() for name, a in made.items()}


def depends_on_where_arrays_begin(backend, dtype, geometry, m):
    """Names of the kernels whose bits are others when the data begin one number behind a boundary."""
    shapes = (2, 3, *geometry.width), (3, geometry.cells, m), (2, geometry.out_cells, m), (2,)
    arrays = smooth(dtype, *shapes)
    results = [
        every_kernel(backend, geometry, [beginning_at(a, off) for a in arrays])
        for off in (0, np.dtype(dtype).itemsize)
    ]
    return [name for name, bits in results[0].items() if bits != results[1][name]]


# Several blocks of cells and examples, and a last block that is not full.
LARGE = Geometry((12, 17), (3, 3), "reflect"), 68


@needs_compiler
@every_dtype
@pytest.mark.parametrize("method", ["direct", "gemm"])
def test_no_bit_depends_on_where_arrays_begin(dtype, method):
    assert depends_on_where_arrays_begin(cupy_on_cpu(method), dtype, *LARGE) == []


@needs_compiler
@every_dtype
def test_threads_that_take_as_many_numbers_as_a_load_would_be_noticed(dtype):
    backend = cupy_on_cpu("direct")

    def spoiling(code, **options):
        if "cotangent(" in code:
            assert "threadIdx.x) * WIDE" in code
            code = re.sub(r"(THREADS|threadIdx\.x\)) \* WIDE", r"\1 * VECTOR", code)
            code = code.replace("part < WIDE", "part < VECTOR")
        return cuda_on_cpu.Module(code, **options)

    backend.cupy.RawModule = spoiling
    assert depends_on_where_arrays_begin(backend, dtype, *LARGE) == ["sums"]


def refusing(method="direct"):
    backend = cupy_on_cpu(method)

    def never(*arguments, **options):
        raise AssertionError("a kernel was begun")

    backend.kernels = never
    return backend


def zeros(*shape, dtype="float32"):
    return DeviceArray(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("features", lambda b, K: K.apply(zeros(2, 7, 4))),
        ("features", lambda b, K: K.apply(zeros(3, 6, 4))),
        ("features", lambda b, K: K.apply_transpose(zeros(2, 6, 4))),
        ("base", lambda b, K: K.apply(zeros(2, 6, 4), zeros(3, 6, 5))),
        ("base", lambda b, K: K.apply_transpose(zeros(3, 6, 4), zeros(3, 6, 4))),
        ("bias", lambda b, K: b.activated(K, zeros(2, 6, 4), zeros(2), ACTIVATIONS["tanh"])),
        ("base", lambda b, K: b.activated(K, zeros(2, 6, 4), zeros(3), ACTIVATIONS["tanh"], zeros(3, 5, 4))),
        ("features Y", lambda b, K: b.stencil_gradient(zeros(2, 5, 4), zeros(3, 6, 4), K.geometry)),
        ("features Z", lambda b, K: b.stencil_gradient(zeros(2, 6, 4), zeros(3, 7, 4), K.geometry)),
        ("features Y", lambda b, K: b.stencil_gradient(zeros(2, 6, 5), zeros(3, 6, 4), K.geometry)),
        ("slope", lambda b, K: b.tangent(zeros(2, 5, 4), zeros(2, 6, 4), zeros(2))),
        ("bias", lambda b, K: b.tangent(zeros(2, 6, 4), zeros(2, 6, 4), zeros(3))),
        ("base", lambda b, K: b.tangent(zeros(2, 6, 4), zeros(2, 6, 4), zeros(2), zeros(2, 6, 3))),
        ("slope", lambda b, K: b.cotangent(zeros(2, 5, 4), zeros(2, 6, 4))),
    ],
)
def test_a_wrong_shape_is_refused_before_a_kernel_begins(what, wrong):
    backend = refusing()
    kernel = backend.convolution(zeros(3, 2, 3), Geometry((6,), (3,)))
    with pytest.raises(RefmgError, match=f"^found {what} of shape"):
        wrong(backend, kernel)


def test_a_bias_for_the_gathered_product_is_checked_too():
    backend = refusing("gemm")
    kernel = backend.convolution(zeros(3, 2, 3), Geometry((6,), (3,)))
    with pytest.raises(RefmgError, match="found bias of shape"):
        backend.activated(kernel, zeros(2, 6, 4), zeros(2), ACTIVATIONS["tanh"])


def test_sizes_beyond_32_bits_are_not_cut_off():
    with pytest.raises(OverflowError):
        launch.integers(1 << 31)


def right(spoil=str):
    """Whether convolution and stencil gradient, by source that may be spoilt, are right in every order."""

    def spoiling(code, **options):
        return cuda_on_cpu.Module(spoil(code), **options)

    backend = cupy_on_cpu("direct")
    backend.cupy.RawModule = spoiling
    with pytest.MonkeyPatch.context() as patch:
        for backwards, at_once in ORDERS:
            patch.setattr(ORDER, "backwards", backwards)
            patch.setattr(ORDER, "at_once", at_once)
            if not (product_is_right(backend) and gradient_is_right(backend)):
                return False
    return True


def product_is_right(backend):
    geometry = Geometry((3, 4), (3, 3), "zero")
    (s, Y), (s_there, Y_there) = arrays(backend, "float32", (3, 8, 3, 3), (8, 12, 4))
    found = backend.to_numpy(backend.convolution(s_there, geometry).apply(Y_there))
    return np.array_equal(found.reshape(-1, 4), assemble(s, geometry) @ Y.reshape(-1, 4))


def gradient_is_right(backend):
    """Two parts of 11 steps, which go round the ring of 3 stages several times."""
    geometry = Geometry((6, 7), (3, 3), "zero")
    (Y, Z), there = arrays(backend, "float32", (2, 42, 8), (3, 42, 8))
    found = backend.to_numpy(backend.stencil_gradient(*there, geometry))
    return np.array_equal(found, gradient_of(Y, Z, geometry).reshape(found.shape))


EARLY_FETCH = """    __syncthreads();
    if (step + STAGES - 1 < steps) fetch(step + STAGES - 1);
"""

RING = (("% STAGES *", "% (STAGES - 1) *"), (EARLY_FETCH, "".join(reversed(EARLY_FETCH.splitlines(True)))))


@needs_compiler
@pytest.mark.parametrize(
    ("file", "kept", "spoilt"),
    [
        ("convolve.cu", "    __syncthreads();", ""),
        ("convolve.cu", "wait_for_copies<STAGES - 2>();", ""),
        ("convolve.cu", "wait_for_copies<STAGES - 2>();", "wait_for_copies<STAGES - 1>();"),
        ("convolve.cu", "X + from, row >= 0);", "X + from, true);"),
        ("convolve.cu", "static_cast<Index>(row) * m;", "static_cast<Index>(row + 1) * m;"),
        ("gradient.cu", "    __syncthreads();", ""),
        ("gradient.cu", "wait_for_copies<STAGES - 2>();", "wait_for_copies<STAGES - 1>();"),
        *((file, *change) for file in ("convolve.cu", "gradient.cu") for change in RING),
    ],
)
def test_a_spoilt_kernel_is_noticed(file, kept, spoilt):
    code = source(file)
    assert kept in code
    assert right()
    assert not right(lambda text: text.replace(kept, spoilt) if text == code else text)


@needs_compiler
def test_writing_beyond_an_array_or_the_shared_memory_is_an_error():
    code = source("pointwise.cu")
    spoilt = code.replace("packed[i] = found;", "packed[i + 1] = found;")
    assert spoilt != code
    with pytest.raises(IndexError, match="beyond an array"):
        right(lambda text: spoilt if text == code else text)
    backend = cupy_on_cpu()
    size = tiles.convolution_memory
    try:
        tiles.convolution_memory = lambda *a: size(*a) - 4
        with pytest.raises(IndexError, match="beyond the shared memory"):
            backend.convolution(zeros(3, 16, 3), Geometry((6,), (3,))).apply(zeros(16, 6, 4))
    finally:
        tiles.convolution_memory = size


@needs_compiler
def test_a_kernel_is_not_called_with_too_few_arguments_or_inexact_arithmetic():
    shared = library(source("pointwise.cu"), Variant("pointwise.cu", "float32", 1).options)
    with pytest.raises(TypeError, match="takes 6 arguments"):
        Kernel(shared, "add_parts")((1,), (256,), ())
    with pytest.raises(ValueError, match="exact arithmetic"):
        cuda_on_cpu.Module("", options=("--use_fast_math",))
