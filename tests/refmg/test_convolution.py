"""The convolution as an operator and as a matrix. Integer data wherever possible, compared with ``==``."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
from convolution_cases import on
from scipy import ndimage, optimize, sparse
from scipy.sparse.linalg import aslinearoperator

from refmg.activation import named_activation
from refmg.convolution import Convolution, convolution_matrix
from refmg_backends import RefmgError

EPS = np.finfo(np.float64).eps

SCIPY_MODE = {"periodic": "wrap", "zero": "constant", "reflect": "reflect"}

NUMPY_PAD = {"periodic": "wrap", "zero": "constant", "reflect": "symmetric"}

# In each dimension one ordinary grid and one with fewer cells than the stencil has taps.
GRIDS = [
    ((7,), (3,)),
    ((2,), (5,)),
    ((5, 6), (3, 5)),
    ((1, 2), (3, 3)),
    ((4, 3, 5), (3, 3, 3)),
    ((2, 1, 3), (3, 5, 3)),
]

every_grid = pytest.mark.parametrize(("shape", "width"), GRIDS)

every_boundary = pytest.mark.parametrize("boundary", SCIPY_MODE)

every_stride = pytest.mark.parametrize("stride", [1, 2])

every_channels = pytest.mark.parametrize("channels", [(1, 1), (3, 2)])


def integers(*shape):
    """Small integers: every sum below is exact in int64 and in float64."""
    return np.random.default_rng(len(shape)).integers(-9, 10, shape)


def by_scipy(s, y, boundary, stride):
    """K(s) y on ``(C_in, *shape)`` by ``scipy.ndimage.correlate``, then subsampled."""
    mode = SCIPY_MODE[boundary]
    full = [sum(map(partial(ndimage.correlate, mode=mode), y, s_o)) for s_o in s]
    return np.stack(full)[(slice(None), *(slice(None, None, stride) for _ in y.shape[1:]))]


def shift_matrix(shape, offset, boundary):
    """C_j with ``(C_j y)_i = y_{i+j}``, from the padded identity: no code shared with refmg."""
    reach = [(abs(j), abs(j)) for j in offset]
    cells = np.eye(int(np.prod(shape)), dtype=np.int64).reshape(*shape, -1)
    padded = np.pad(cells, [*reach, (0, 0)], mode=NUMPY_PAD[boundary])
    window = tuple(slice(abs(j) + j, abs(j) + j + n) for j, n in zip(offset, shape, strict=True))
    return padded[window].reshape(cells.shape[-1], -1)


def kron_sum(s, shape, boundary):
    """The sum over taps of ``S_j (x) C_j``, dense."""
    offsets = product(*(range(-(k // 2), k // 2 + 1) for k in s.shape[2:]))
    taps = s.reshape(*s.shape[:2], -1)
    return sum(np.kron(taps[..., t], shift_matrix(shape, j, boundary)) for t, j in enumerate(offsets))


def fourier(shape):
    """Columns ``exp(2 pi i w.x)``: the periodic eigenvectors, one a frequency."""
    axes = [np.exp(2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) for n in shape]
    F = axes[0]
    for axis in axes[1:]:
        F = np.kron(F, axis)
    return F


def symbol(s, shape):
    """FFT symbol of a one-channel stencil, one number a frequency."""
    kernel = np.zeros(shape)
    for tap in np.ndindex(s.shape):
        kernel[tuple((np.array(tap) - np.array(s.shape) // 2) % shape)] += s[tap]
    return np.fft.ifftn(kernel).ravel() * kernel.size


@every_grid
@every_boundary
@every_stride
@every_channels
def test_the_matrix_is_scipy_correlate(shape, width, boundary, stride, channels):
    s, y = integers(*channels, *width), integers(channels[1], *shape)
    found = convolution_matrix(s, shape, boundary, stride) @ y.ravel()
    assert np.array_equal(found, by_scipy(s, y, boundary, stride).ravel())


@every_grid
@every_boundary
def test_the_matrix_is_scipy_correlate_in_floats(shape, width, boundary):
    rng = np.random.default_rng(1)
    s, y = rng.standard_normal((3, 2, *width)), rng.standard_normal((2, *shape))
    found = convolution_matrix(s, shape, boundary) @ y.ravel()
    # Two sums of s[0].size products in different orders: each is off by at most size * eps/2 * sum |s| |y|.
    bound = s[0].size * EPS * np.abs(s).sum() * np.abs(y).max()
    assert np.abs(found - by_scipy(s, y, boundary, 1).ravel()).max() <= bound


def test_a_flipped_stencil_is_not_the_correlation():
    s, y = np.array([1, 5, 2]), integers(1, 7)
    wrong = convolution_matrix(s[::-1], (7,)) @ y.ravel()
    assert not np.array_equal(wrong, by_scipy(s[None, None], y, "periodic", 1).ravel())


@every_boundary
def test_stride_per_axis_takes_every_so_manyth_row(boundary):
    s, shape = integers(2, 3, 3, 3), (5, 7)
    every = convolution_matrix(s, shape, boundary).toarray().reshape(2, 5, 7, -1)
    strided = convolution_matrix(s, shape, boundary, (2, 3)).toarray()
    assert np.array_equal(strided, every[:, ::2, ::3].reshape(2 * 3 * 3, -1))


@every_grid
@every_boundary
@every_channels
def test_the_matrix_is_the_sum_of_krons(shape, width, boundary, channels):
    s = integers(*channels, *width)
    assert np.array_equal(convolution_matrix(s, shape, boundary).toarray(), kron_sum(s, shape, boundary))


@every_grid
@every_boundary
@every_stride
@every_channels
def test_the_matrix_is_canonical(shape, width, boundary, stride, channels):
    K = convolution_matrix(integers(*channels, *width), shape, boundary, stride)
    # From the raw arrays, since the flag is what refmg sets itself: strictly rising columns in each row.
    rows = np.repeat(np.arange(K.shape[0]), np.diff(K.indptr))
    assert (np.diff(rows * K.shape[1] + K.indices) > 0).all()
    assert K.has_canonical_format
    assert K.indptr[-1] == K.nnz == K.indices.size == K.data.size


def test_the_matrix_is_a_sparse_array_and_not_a_sparse_matrix():
    K = convolution_matrix([1, -2, 1], (5,))
    assert isinstance(K, sparse.csr_array)
    assert not sparse.isspmatrix(K)


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64, np.complex128])
def test_the_matrix_keeps_the_type_of_the_taps(dtype):
    assert convolution_matrix(np.ones((3, 3), dtype), (4, 4)).dtype == dtype


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32])
def test_narrow_integers_stay_integers_and_do_not_overflow(dtype):
    K = convolution_matrix(np.full(5, 100, dtype), (1,))
    assert K.dtype.kind in "iu"
    assert K.toarray().tolist() == [[500]]


def test_taps_that_are_zero_are_stored():
    zero, one = (convolution_matrix(taps, (4, 4)) for taps in (np.zeros((3, 3)), np.ones((3, 3))))
    assert np.array_equal(zero.indices, one.indices)
    assert zero.nnz == one.nnz == 16 * 9


def test_changing_a_matrix_does_not_change_the_next_one():
    first = convolution_matrix([1, 5, 2], (4,))
    kept = first.toarray()
    for part in (first.data, first.indices, first.indptr):
        part[:] = 0
    assert np.array_equal(convolution_matrix([1, 5, 2], (4,)).toarray(), kept)


@pytest.mark.parametrize(
    "layout", [[[0, 1, 0], [2, 3, 4], [0, 5, 0]], np.array([[0, 1, 0], [2, 3, 4], [0, 5, 0]])]
)
def test_a_plain_stencil_means_one_channel(layout):
    plain = convolution_matrix(layout, (4, 5))
    assert np.array_equal(plain.toarray(), convolution_matrix(np.array(layout)[None, None], (4, 5)).toarray())


@every_grid
def test_fourier_modes_are_eigenvectors_and_the_symbol_their_eigenvalues(shape, width):
    s, F = np.random.default_rng(2).standard_normal(width), fourier(shape)
    residual = convolution_matrix(s, shape) @ F - F * symbol(s, shape)
    # |F| = 1; modes and symbol carry a few eps of their own: the phase is rounded before exp, up to 2 pi n.
    bound = (s.size + F.shape[0] + 2 * np.pi * sum(shape)) * EPS * np.abs(s).sum()
    assert np.abs(residual).max() <= bound


def test_fourier_modes_are_not_eigenvectors_at_a_zero_boundary():
    s, F = np.array([1.0, -2.0, 1.0]), fourier((7,))
    assert np.abs(convolution_matrix(s, (7,), "zero") @ F - F * symbol(s, (7,))).max() > 0.1


@every_grid
def test_the_eigenvalues_are_the_symbol_as_a_multiset(shape, width):
    s = np.random.default_rng(3).standard_normal(width)
    K = convolution_matrix(s, shape).toarray()
    distance = np.abs(np.linalg.eigvals(K)[:, None] - symbol(s, shape)[None, :])
    paired = distance[optimize.linear_sum_assignment(distance)]
    # K is normal, so eigenvalues move no further than LAPACK's backward error, a few n eps |K|_F.
    assert paired.max() <= 4 * len(K) * EPS * np.linalg.norm(K)


@every_grid
def test_in_many_channels_each_mode_sees_the_matrix_of_symbols(shape, width):
    s, F = np.random.default_rng(4).standard_normal((3, 2, *width)), fourier(shape)
    symbols = np.array([[symbol(s_oc, shape) for s_oc in s_o] for s_o in s])
    K = convolution_matrix(s, shape).toarray().reshape(3, len(F), 2, len(F))
    residual = np.einsum("oxcy,yw->ocxw", K, F) - symbols[:, :, None, :] * F
    bound = (s[0, 0].size + len(F) + 2 * np.pi * sum(shape)) * EPS * np.abs(s).sum()
    assert np.abs(residual).max() <= bound


def operator_and_data(shape, width, boundary, stride, channels, backend, examples=2):
    K = Convolution(integers(*channels, *width), shape, boundary, stride, backend)
    Y = integers(channels[1], *shape, examples)
    Z = integers(channels[0], *K.geometry.out_shape, examples) + 1
    return K, Y, Z


def host(K, X):
    return K.backend.to_numpy(X)


@every_grid
@every_boundary
@every_stride
@every_channels
def test_apply_is_the_matrix_on_flattened_features(shape, width, boundary, stride, channels, backend):
    K, Y, _ = operator_and_data(shape, width, boundary, stride, channels, backend)
    found = host(K, K.apply(on(K, Y)))
    assert found.shape == (channels[0], *K.geometry.out_shape, 2)
    assert np.array_equal(found.reshape(-1, 2), K.matrix() @ Y.reshape(-1, 2))


@every_grid
@every_boundary
@every_stride
@every_channels
def test_apply_transpose_is_the_transpose(shape, width, boundary, stride, channels, backend):
    K, Y, Z = operator_and_data(shape, width, boundary, stride, channels, backend)
    back = host(K, K.apply_transpose(on(K, Z)))
    assert np.vdot(host(K, K.apply(on(K, Y))), Z) == np.vdot(Y, back)
    assert np.array_equal(back.reshape(-1, 2), K.matrix().T @ Z.reshape(-1, 2))


@every_grid
@every_boundary
@every_stride
@every_channels
def test_the_stencil_gradient_pairs_with_every_stencil(shape, width, boundary, stride, channels, backend):
    K, Y, Z = operator_and_data(shape, width, boundary, stride, channels, backend)
    G = host(K, K.stencil_gradient(on(K, Y), on(K, Z)))
    other = integers(*channels, *width)[..., ::-1] + 2
    K_other = convolution_matrix(other, shape, boundary, stride)
    assert G.shape == other.shape
    assert np.vdot(K_other @ Y.reshape(-1, 2), Z.reshape(-1, 2)) == np.vdot(other, G)


def test_a_gradient_with_one_wrong_tap_would_be_noticed():
    K, Y, Z = operator_and_data((5, 6), (3, 3), "periodic", 1, (2, 2), "numpy")
    G = K.stencil_gradient(Y, Z)
    G[1, 0, 2, 0] += 1
    s = np.ones_like(G)
    assert np.vdot(convolution_matrix(s, (5, 6)) @ Y.reshape(-1, 2), Z.reshape(-1, 2)) != np.vdot(s, G)


@pytest.mark.parametrize("name", ["apply", "apply_transpose"])
def test_examples_do_not_see_each_other(name, backend):
    K, _, _ = operator_and_data((4, 5), (3, 3), "reflect", 1, (2, 2), backend)
    X = integers(2, 4, 5, 3)
    alone = [host(K, getattr(K, name)(on(K, X[..., m : m + 1].copy()))) for m in range(3)]
    assert np.array_equal(host(K, getattr(K, name)(on(K, X))), np.concatenate(alone, axis=-1))


def test_float32_stays_float32(backend):
    K = Convolution(np.ones((2, 1, 3, 3), np.float32), (4, 4), backend=backend)
    Y, Z = on(K, np.ones((1, 4, 4, 2), np.float32)), on(K, np.ones((2, 4, 4, 2), np.float32))
    results = K.apply(Y), K.apply_transpose(Z), K.stencil_gradient(Y, Z), K.matrix()
    assert [np.dtype(host(K, r).dtype) if r is not results[3] else r.dtype for r in results] == [
        np.float32
    ] * 4


def test_features_that_are_not_contiguous_give_the_same_result(backend):
    K, Y, Z = operator_and_data((4, 5), (3, 3), "periodic", 1, (3, 2), backend)
    Y_strided, Z_strided = np.asfortranarray(Y), np.repeat(Z, 2, axis=-1)[..., ::2]
    assert np.array_equal(host(K, K.apply(on(K, Y_strided))), host(K, K.apply(on(K, Y))))
    gradient = host(K, K.stencil_gradient(on(K, Y_strided), on(K, Z_strided)))
    assert np.array_equal(gradient, host(K, K.stencil_gradient(on(K, Y), on(K, Z))))


def test_a_stencil_changed_afterwards_does_not_change_the_operator(backend):
    s = np.array([1.0, -2.0, 1.0])
    K = Convolution(s, (5,), backend=backend)
    before = K.matrix().toarray()
    s[:] = 0  # an optimizer that updates its parameters in place does this
    after = host(K, K.apply(on(K, np.eye(5)[None])))[0]
    assert np.array_equal(after, before)
    assert np.array_equal(K.matrix().toarray(), before)


def test_a_batch_without_examples_gives_one_without_examples(backend):
    K = Convolution(np.ones((3, 2, 3, 3)), (4, 5), backend=backend)
    Y, Z = on(K, np.zeros((2, 4, 5, 0))), on(K, np.zeros((3, 4, 5, 0)))
    assert K.apply(Y).shape == (3, 4, 5, 0)
    assert K.apply_transpose(Z).shape == (2, 4, 5, 0)
    assert not host(K, K.stencil_gradient(Y, Z)).any()


def test_the_backend_is_the_one_of_the_environment(monkeypatch):
    monkeypatch.setenv("REFMG_BACKEND", "array-api-strict")
    assert Convolution(np.ones(3), (5,)).backend.name == "array-api-strict"
    assert Convolution(np.ones(3), (5,), backend="numpy").backend.name == "numpy"


def test_a_backend_object_is_used_as_it_is():
    backend = Convolution(np.ones(3), (5,), backend="array-api-strict").backend
    assert Convolution(np.ones(3), (5,), backend=backend).backend is backend


def test_preparing_returns_the_operator_itself_and_changes_no_result(backend):
    K, Y, _ = operator_and_data((4, 5), (3, 3), "zero", 1, (2, 2), backend)
    lazy = host(K, K.apply(on(K, Y)))
    fresh, _, _ = operator_and_data((4, 5), (3, 3), "zero", 1, (2, 2), backend)
    assert fresh.prepare() is fresh
    assert np.array_equal(host(fresh, fresh.apply(on(fresh, Y))), lazy)


def test_the_representation_names_channels_width_grid_and_boundary():
    shown = repr(Convolution(np.ones((3, 2, 3, 5)), (6, 7), "zero", backend="numpy"))
    assert shown == "Convolution(2 -> 3 channels, width (3, 5), grid (6, 7), zero)"


@pytest.mark.parametrize("examples", [1, 3])
@every_stride
def test_the_linear_operator_is_the_matrix_on_each_example(examples, stride, backend):
    K = Convolution(integers(3, 2, 3, 3).astype(float), (4, 5), stride=stride, backend=backend)
    A = K.linear_operator(examples)
    B = np.kron(K.matrix().toarray(), np.eye(examples))  # examples last
    assert A.shape == B.shape
    assert np.array_equal(A @ np.eye(A.shape[1]), B)
    assert np.array_equal(A.T @ np.eye(A.shape[0]), B.T)


def test_the_linear_operator_passes_the_dot_test(backend):
    rng = np.random.default_rng(5)
    s = rng.standard_normal((3, 2, 3, 3))
    A = aslinearoperator(Convolution(s, (4, 5), "reflect", backend=backend).linear_operator(2))
    y, z = rng.standard_normal(A.shape[1]), rng.standard_normal(A.shape[0])
    # Inner products of z.size numbers, each a sum of s[0].size products (four-fold on the corners).
    bound = (z.size + 4 * s[0].size) * EPS * np.abs(s).sum() * np.abs(y).max() * np.abs(z).sum()
    assert abs(np.vdot(A.matvec(y), z) - np.vdot(y, A.rmatvec(z))) <= bound


# --- what is added, and how many examples there are ------------------------------------------------


@pytest.mark.parametrize("have", [1, 2, 4])
def test_another_number_of_examples_is_refused_wherever_something_is_added(backend, have):
    K, *host_data = operator_and_data((4, 5), (3, 3), "periodic", 1, (3, 2), backend, examples=3)
    Y, Z = (backend.asarray(array, "float64") for array in host_data)
    other = {"in": Y[..., :1], "out": Z[..., :1]}
    other = {name: backend.xp.concat([array] * have, axis=-1) for name, array in other.items()}
    bias, identity = backend.xp.zeros(3), named_activation("identity")
    expected = r"expected \({}, 4, 5, 3\): channels first, grid, examples last$"
    for channels, call in (
        (3, lambda: K.apply(Y, add_to=other["out"])),
        (2, lambda: K.apply_transpose(Z, add_to=other["in"])),
        (3, lambda: K.activated(Y, bias, identity, base=other["out"])),
    ):
        with pytest.raises(RefmgError, match=expected.format(channels)):
            call()
    with pytest.raises(RefmgError, match=rf"^found 3 and {have} examples; expected as many in Y as in Z$"):
        K.stencil_gradient(Y, other["out"])


def test_a_layer_is_the_activation_itself_and_tells_no_slope_unless_it_is_asked(backend):
    K, *host_data = operator_and_data((4, 5), (3, 3), "periodic", 1, (3, 2), backend)
    Y, Z = (backend.asarray(array, "float64") for array in host_data)
    bias, relu = backend.asarray(np.arange(3.0)), named_activation("relu")
    value, slope = K.activated(Y, bias, relu)
    expected = np.maximum(backend.to_numpy(K.apply(Y)) + np.arange(3.0)[:, None, None, None], 0)
    assert slope is None
    assert np.array_equal(backend.to_numpy(value), expected)
    value, slope = K.activated(Y, bias, relu, base=Z, scale=2.0, slope=True)
    assert np.array_equal(backend.to_numpy(value), backend.to_numpy(Z) + 2 * expected)
    assert np.array_equal(backend.to_numpy(slope), expected > 0)
