"""The Numba backend around its kernels: memory, alignment, threads, imports, what is refused."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from refmg_backends import Geometry, RefmgError, diagonal_curvature
from refmg_backends.activation import ACTIVATIONS

numba = pytest.importorskip("numba", reason="kernels compiled by Numba: pip install 'refmg[numba]'")
# Only where there is Numba, which they import.
from numba_cases import NUMBA, in_fresh_process  # noqa: E402

from refmg_backends.numba_kernels import winograd  # noqa: E402
from refmg_backends.numba_kernels.memory import LINE, Pool, aligned_empty  # noqa: E402


@pytest.mark.parametrize("stride", [1, 2])
def test_the_scratch_of_a_wide_gradient_is_some_copies_of_the_sum(stride):
    c, geometry = 256, Geometry((8, 8), (3, 3), stride=(stride, stride))
    Y, Z = (np.ones((c, cells, 64), np.float32) for cells in (64, geometry.out_cells))
    NUMBA.stencil_gradient(Y, Z, geometry)
    NUMBA.release()
    tracemalloc.start()
    NUMBA.stencil_gradient(Y, Z, geometry)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Of the direct loop: one part and the result; of minimal filtering: sixteen numbers for nine twice, the
    # result, and a chunk of both factors. Eight parts of sixteen numbers would be 14 copies.
    copies, chunk = (5, winograd.CHUNK[0]) if stride == 1 else (4.5, 0)
    assert most <= copies * c * c * 9 * 4 + chunk


def test_importing_refmg_loads_neither_numba_nor_cupy():
    program = (
        "import sys, refmg; print('numba' in sys.modules, 'cupy' in sys.modules, 'torch' in sys.modules)"
    )
    assert in_fresh_process(program) == ["False"] * 3


def test_blas_has_its_threads_back_after_concurrent_calls():
    def threads():
        return [library["num_threads"] for library in threadpool_info()]

    c, geometry = winograd.CHANNELS, Geometry((8, 8), (3, 3))
    K, Y = NUMBA.convolution(np.ones((c, c, 3, 3)), geometry), np.ones((c, 64, 16))
    before = threads()
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(K.apply, [Y] * 12))
    assert all((product == 9 * c).all() for product in found)
    assert threads() == before


@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_numbers_in_foreign_byte_order_go_to_the_matrix(dtype):
    s, Y = np.ones((2, 2, 3, 3), dtype), np.ones((2, 20, 4), dtype)
    assert (NUMBA.convolution(s, Geometry((4, 5), (3, 3))).apply(Y) == 18).all()


def wrong_calls():
    """Calls with one array of a wrong shape, by name."""
    geometry = Geometry((4, 5), (3, 3))
    K, tanh = NUMBA.convolution(np.ones((3, 2, 3, 3)), geometry), ACTIVATIONS["tanh"]
    Y, Z, b = np.ones((2, 20, 8)), np.ones((3, 20, 8)), np.ones(3)
    fixed, curvature = NUMBA.fixed_features([Z[0]], 8, 3), diagonal_curvature(np, np.ones((3, 8)))
    return {
        "channels": lambda: K.apply(np.ones((1, 20, 8))),
        "cells": lambda: K.apply(np.ones((2, 19, 8))),
        "transpose": lambda: K.apply_transpose(Y),
        "start": lambda: K.apply(Y, add_to=np.ones((3, 20, 7))),
        "bias": lambda: NUMBA.activated(K, Y, np.ones(4), tanh),
        "base": lambda: NUMBA.activated(K, Y, b, tanh, base=Y),
        "gradient": lambda: NUMBA.stencil_gradient(Y, Z[..., :7], geometry),
        "gradient cells": lambda: NUMBA.stencil_gradient(Y[:, :19], Z, geometry),
        "tangent": lambda: NUMBA.tangent(Z, Y, b),
        "tangent bias": lambda: NUMBA.tangent(Z, Z, np.ones(2)),
        "cotangent": lambda: NUMBA.cotangent(Y, Z),
        "logits": lambda: NUMBA.logits(np.ones((4, 3)), np.ones((5, 8))),
        "logits adjoint": lambda: NUMBA.logits_adjoint(np.ones((4, 3)), np.ones((4, 8))),
        "weight gradient": lambda: NUMBA.weight_gradient(np.ones((4, 8)), np.ones((3, 7))),
        "fixed features": lambda: NUMBA.fixed_features([Z[0], Z[0, :19]], 16, 3),
        "more examples": lambda: NUMBA.fixed_features([Z[0]], 7, 3),
        "fewer examples": lambda: NUMBA.fixed_features([Z[0]], 9, 3),
        "weights": lambda: fixed.logits(np.ones((19, 3))),
        "residuals": lambda: fixed.gradient(np.ones((3, 7))),
        "biases": lambda: fixed.product(np.ones((20, 3)), np.ones(2), curvature),
        "fewer classes": lambda: fixed.gradient(np.ones((2, 8))),
        "more classes": lambda: fixed.logits(np.ones((20, 4))),
        "curvature": lambda: fixed.product(np.ones((20, 3)), b, curvature.of(slice(7))),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_arrays_that_do_not_fit_are_refused_before_compiled_code_sees_them(name):
    with pytest.raises(RefmgError, match=r"found .* of shape .*; expected \("):
        wrong_calls()[name]()


def test_arrays_begin_on_a_cache_line():
    for size in (1, 100, 10**5):
        assert aligned_empty((size,), np.float64).ctypes.data % LINE == 0


def test_memory_comes_back_when_the_last_view_is_gone_and_not_before():
    pool = Pool()
    array = np.frombuffer(pool.lend(10**6), np.uint8)
    view, address = array[5:], array.ctypes.data
    del array
    assert (pool.lent, pool.kept) == (10**6, 0)
    del view
    assert (pool.lent, pool.kept) == (0, 10**6)
    assert np.frombuffer(pool.lend(10**6), np.uint8).ctypes.data == address


def test_the_pool_keeps_no_more_than_twice_what_was_ever_lent_at_once():
    pool, full = Pool(), 0
    for size in range(1000, 50000, 1000):
        del_me = pool.lend(size)
        del del_me
        assert pool.kept <= 2 * pool.most_lent
        full = max(full, pool.kept)
    assert full > pool.most_lent
    pool.clear()
    assert pool.kept == 0


def test_user_arrays_are_aligned_once_when_they_become_features():
    raw = np.empty(4 * 100 * 128 + 1, np.float32)[1:].reshape(4, 100, 128)
    raw[...] = 1
    found = NUMBA.asarray(raw)
    assert found.ctypes.data % LINE == 0
    assert np.array_equal(found, raw)
    assert NUMBA.asarray(found) is found
