"""Pooling is a matrix: of means, or of the choice that the maximum makes."""

import numpy as np
import pytest
import scipy.ndimage

from refmg import convolution_matrix
from refmg.resnet import (
    average_pool,
    average_pool_adjoint,
    max_pool,
    max_pool_adjoint,
    max_pool_choice,
)
from refmg.resnet.grid_means import GridMeans
from refmg.resnet.pooling import gathered
from refmg_backends import Geometry

BOUNDARIES = ["zero", "periodic", "reflect"]


def integers(*shape, seed=0, least=-9):
    return np.random.default_rng(seed).integers(least, 10, shape).astype(float)


def test_the_mean_over_cells_and_its_adjoint_are_a_matrix_and_its_transpose(backend):
    Y, P = integers(3, 8, 5), integers(3, 5, seed=1)
    matrix = np.kron(np.eye(3), np.ones((1, 8)) / 8)  # exact: 8 is a power of two
    found = backend.to_numpy(average_pool(backend.xp, backend.asarray(Y)))
    back = backend.to_numpy(average_pool_adjoint(backend.xp, backend.asarray(P), 8))
    assert np.array_equal(found, (matrix @ Y.reshape(24, 5)))
    assert np.array_equal(back.reshape(24, 5), matrix.T @ P)


def selection(Y, geometry):
    """For one channel and one example: the matrix that picks the first largest tap of each window."""
    S = np.zeros((geometry.out_cells, geometry.cells))
    for o, cells in enumerate(geometry.table.T):
        inside = [c for c in cells if c >= 0]
        best = max(Y[c] for c in inside)
        S[o, next(c for c in inside if Y[c] == best)] = 1
    return S


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(4, 6), (5, 7)])
def test_the_maximum_and_its_adjoint_are_a_selection_and_its_transpose(backend, boundary, shape):
    geometry = Geometry(shape, (3, 3), boundary, (2, 2))
    # Few values, so that maxima are often reached twice; all negative in one channel: outside is not 0.
    Y = np.stack([integers(geometry.cells, 3, seed=1) % 3, -1 - integers(geometry.cells, 3, least=0)])
    P = integers(2, geometry.out_cells, 3, seed=2)
    pooled, choice = max_pool_choice(backend, backend.asarray(Y), geometry)
    back = max_pool_adjoint(backend, choice, backend.asarray(P), geometry)
    alone = max_pool(backend, backend.asarray(Y), geometry)
    assert np.array_equal(backend.to_numpy(alone), backend.to_numpy(pooled))
    for c, m in np.ndindex(2, 3):
        S = selection(Y[c, :, m], geometry)
        assert np.array_equal(backend.to_numpy(pooled)[c, :, m], S @ Y[c, :, m])
        assert np.array_equal(backend.to_numpy(back)[c, :, m], S.T @ P[c, :, m])
    assert (backend.to_numpy(pooled)[1] < 0).all()


def test_the_maximum_is_scipys():
    geometry, Y = Geometry((5, 6), (3, 3), "reflect", (2, 2)), integers(1, 30, 1)
    from refmg import get_backend

    found = max_pool(get_backend("numpy"), Y, geometry).reshape(3, 3)
    assert np.array_equal(found, scipy.ndimage.maximum_filter(Y.reshape(5, 6), 3, mode="reflect")[::2, ::2])


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("width", "stride"), [(3, 1), (3, 2), (1, 2)])
def test_what_the_taps_read_times_the_stencil_is_the_convolution(backend, boundary, width, stride):
    geometry = Geometry((5, 4), (width, width), boundary, (stride, stride))
    Y, s = integers(2, 20, 3), integers(3, 2, width, width, seed=1)
    taps = backend.to_numpy(gathered(backend, backend.asarray(Y), geometry))
    K = convolution_matrix(s, (5, 4), boundary, stride)
    product = s.reshape(3, -1) @ taps.reshape(taps.shape[0], -1)
    assert np.array_equal(product.reshape(-1, 3), K @ Y.reshape(-1, 3))


@pytest.mark.parametrize(("fine", "coarse"), [((4, 6), (2, 3)), ((7, 6), (4, 6)), ((4, 4), (4, 4))])
def test_means_on_a_coarser_grid_are_pytorchs_adaptive_average(backend, fine, coarse):
    torch = pytest.importorskip("torch")
    Y = integers(2, fine[0] * fine[1], 3)
    means = GridMeans(backend, fine, coarse, "float64")
    found = backend.to_numpy(means.apply(backend.asarray(Y))).reshape(2, *coarse, 3)
    theirs = torch.nn.functional.adaptive_avg_pool2d(
        torch.from_numpy(np.ascontiguousarray(np.moveaxis(Y.reshape(2, *fine, 3), -1, 0))), coarse
    )
    # Sums of at most 4 integers below 10, divided in another order.
    assert np.abs(np.moveaxis(found, -1, 0) - theirs.numpy()).max() <= 40 * np.finfo(float).eps
    assert means.block == {(4, 6): 4, (7, 6): None, (4, 4): 1}[fine]
