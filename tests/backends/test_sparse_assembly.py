"""Explicit matrices: their entries, their form, and that nothing large is kept or made on the way."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refmg_backends import Geometry, assemble
from refmg_backends.byte_cache import ByteCache, kept_by_bytes
from refmg_backends.geometry import OUTSIDE
from refmg_backends.sparse_assembly import KEPT, LONG, _plan, forget_plans


def entry_by_entry(stencil, geometry):
    """The dense matrix, one entry after the other, from what each tap reads."""
    c_out, c_in = stencil.shape[:2]
    K = np.zeros((c_out, geometry.out_cells, c_in, geometry.cells), stencil.dtype)
    for tap, row in enumerate(geometry.table):
        for output in np.flatnonzero(row != OUTSIDE):
            K[:, output, :, row[output]] += stencil.reshape(c_out, c_in, -1)[:, :, tap]
    return K.reshape(c_out * geometry.out_cells, -1)


def is_canonical(K):
    """Whether every row has sorted columns, each once; looked at, not asked of the matrix's own flag."""
    inside = np.ones(len(K.indices), bool)
    inside[K.indptr[:-1][np.diff(K.indptr) > 0]] = False  # the first of each row
    return bool((np.diff(K.indices)[inside[1:]] > 0).all())


@st.composite
def problems(draw):
    d = draw(st.integers(1, 3))
    most = {1: 40, 2: 9, 3: 5}[d]
    sizes = [draw(st.tuples(*[st.integers(1, n)] * d)) for n in (most, 3)]
    width = draw(st.tuples(*[st.sampled_from([1, 3, 5, 7])] * d))
    boundary = draw(st.sampled_from(["periodic", "zero", "reflect"]))
    channels = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stencil = np.random.default_rng(draw(st.integers(0, 99))).integers(-99, 100, (*channels, *width))
    return stencil, Geometry(sizes[0], width, boundary, sizes[1])


@settings(deadline=None, max_examples=200)
@given(problems())
def test_every_entry_is_the_sum_of_the_taps_that_read_it(problem):
    K = assemble(*problem)
    assert np.array_equal(K.toarray(), entry_by_entry(*problem))
    assert is_canonical(K)
    assert K.has_canonical_format


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
@pytest.mark.parametrize("width", [3, 7])
def test_lines_that_are_written_several_at_a_time_give_the_matrix(boundary, width):
    geometry = Geometry((3 * LONG + 5,), (width,), boundary)
    stencil = np.arange(1, 2 * width + 1).reshape(1, 2, width)
    K = assemble(stencil, geometry)
    assert np.array_equal(K.toarray(), entry_by_entry(stencil, geometry))
    assert is_canonical(K)


def test_a_wrong_entry_and_a_wrong_order_are_noticed():
    geometry, stencil = Geometry((4, 5), (3, 3)), np.arange(1, 10).reshape(1, 1, 3, 3)
    K = assemble(stencil, geometry)
    K.data[17] += 1
    assert not np.array_equal(K.toarray(), entry_by_entry(stencil, geometry))
    K.indices[[4, 5]] = K.indices[[5, 4]]
    assert not is_canonical(K)
    K.indices[4] = K.indices[5]
    assert not is_canonical(K)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int64"])
def test_the_type_stays(dtype):
    for geometry in (Geometry((5,), (3,)), Geometry((2,), (3,))):
        assert assemble(np.ones((1, 1, 3), dtype), geometry).dtype == np.dtype(dtype)


def test_sums_of_short_integers_do_not_overflow():
    K = assemble(np.full((1, 1, 3), 100, np.int8), Geometry((1,), (3,)))
    assert K.toarray().tolist() == [[300]]


def test_taps_that_meet_are_added_in_their_order():
    """To the last bit, as a sum of floats from the first tap to the last."""
    taps = np.random.default_rng(0).standard_normal(7)
    total = 0.0
    for tap in taps:
        total += tap
    assert assemble(taps.reshape(1, 1, 7), Geometry((1,), (7,))).data[0] == total


def traced(work):
    """Bytes that are held after some work, and the most that were meanwhile."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_a_new_grid_needs_the_memory_of_its_matrix_and_leaves_nothing_large(boundary):
    geometry, stencil = Geometry((300, 301), (3, 3), boundary), np.ones((1, 1, 3, 3))
    K = assemble(stencil, geometry)
    size = K.data.nbytes + K.indices.nbytes + K.indptr.nbytes
    del K
    forget_plans()
    held, most = traced(lambda: assemble(stencil, geometry))
    # A few lines of 301 cells, of some hundred bytes an entry while they are made.
    assert held <= 0.03 * size
    assert most <= 1.2 * size


def test_plans_of_many_grids_stay_below_their_bound():
    forget_plans()
    for n in range(100, 160):
        assemble(np.ones((1, 4, 3, 3)), Geometry((3, n), (3, 3)))
        assert _plan.cache.bytes == sum(plan.bytes for plan in _plan.cache.kept.values()) <= KEPT
    assert len(_plan.cache.kept) < 60
    forget_plans()
    assert (_plan.cache.bytes, len(_plan.cache.kept)) == (0, 0)


# --- what is kept ---------------------------------------------------------------------------------


def test_what_was_used_last_is_kept():
    cache = ByteCache(10, len)
    for n in (4, 5, 4, 3):
        cache.get(n, lambda n=n: "x" * n)
    assert list(cache.kept) == [4, 3]
    assert cache.bytes == 7


def test_what_is_larger_than_the_bound_is_not_kept_and_drives_nothing_out():
    cache = ByteCache(10, len)
    cache.get("small", lambda: "x" * 9)
    assert cache.get("large", lambda: "x" * 11) == "x" * 11
    assert list(cache.kept) == ["small"]


def test_a_result_is_made_once_for_the_same_arguments():
    made = []

    @kept_by_bytes(100, len)
    def function(n):
        made.append(n)
        return "x" * n

    assert function(3) is function(3)
    assert made == [3]
    function.cache.clear()
    function(3)
    assert made == [3, 3]
