"""Batches of photographs: varied images, prefetching, and which images are in which part."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmg import RefmgError
from refmg.data import (
    flip_and_shift,
    prefetched,
    split_numbers,
)


@given(st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**32))
def test_varied_images_are_shifted_views_of_the_reflected_ones(m, margin, seed):
    x = np.random.default_rng(0).integers(0, 256, (m, 3, 4, 6), dtype=np.uint8)
    varied = flip_and_shift(x, margin, np.random.default_rng(seed))
    assert varied.dtype == x.dtype
    assert np.array_equal(varied, flip_and_shift(x, margin, np.random.default_rng(seed)))
    for image, found in zip(x, varied, strict=True):
        wide = np.pad(image, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
        views = [wide[:, a : a + 4, b : b + 6] for a in range(2 * margin + 1) for b in range(2 * margin + 1)]
        assert any(np.array_equal(found, v) or np.array_equal(found, v[..., ::-1]) for v in views)


def test_without_margin_images_are_mirrored_or_not_and_too_large_a_margin_is_refused():
    x = np.arange(100 * 4).reshape(100, 1, 2, 2)
    varied = flip_and_shift(x, 0, np.random.default_rng(0))
    mirrored = (varied == x[..., ::-1]).all((1, 2, 3))
    assert np.array_equal(varied[~mirrored], x[~mirrored])
    assert 25 < mirrored.sum() < 75  # five standard deviations of a fair coin
    with pytest.raises(RefmgError, match="shifts of up to 2 cells"):
        flip_and_shift(x, 2, np.random.default_rng(0))


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_prefetching_keeps_the_order_and_one_thread(ahead):
    threads, begun = set(), []

    def prepare(item):
        threads.add(threading.get_ident())
        begun.append(item)
        return -item

    found = []
    for value in prefetched(range(6), prepare, ahead):
        found.append(value)
        assert len(begun) <= len(found) + ahead + 1
    assert found == [-item for item in range(6)]
    assert begun == list(range(6))
    assert len(threads) == 1
    assert (threading.get_ident() in threads) is (ahead == 0)


def test_an_error_while_preparing_comes_where_its_batch_would():
    def prepare(item):
        if item == 2:
            raise RefmgError("no picture")
        return item

    found = []
    with pytest.raises(RefmgError, match="no picture"):
        found.extend(prefetched(range(5), prepare, 2))
    assert found == [0, 1]
    with pytest.raises(RefmgError, match="-1 items"):
        list(prefetched([1], prepare, -1))


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    batches = prefetched(range(100), lambda item: item, 2)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_seed_0_tests_on_the_images_that_it_always_had():
    order = np.random.default_rng(20260101).permutation(50)
    part = split_numbers(50, 10, 15, 0)
    assert np.array_equal(part["test"], order[:10])
    rest = np.random.default_rng([20260101, 0]).permutation(order[10:])
    assert np.array_equal(part["validation"], rest[:15])
    assert np.array_equal(part["train"], rest[15:])


def test_later_seeds_test_on_images_that_no_choice_has_seen():
    parts = [split_numbers(50, 10, 15, seed) for seed in range(4)]
    for part in parts:
        assert sorted(np.concatenate(list(part.values()))) == list(range(50))
        assert [len(part[name]) for name in ("test", "validation", "train")] == [10, 15, 25]
    seen = {*parts[0]["test"], *parts[0]["validation"]}
    tests = [set(part["test"]) for part in parts[1:]]
    assert not any(test & seen for test in tests)
    assert not tests[0] & tests[1]
    assert tests[0] & tests[2]  # 25 unseen images are not enough for three tests of ten
    assert tests[0] != tests[2]


def test_too_few_images_for_a_fresh_test_are_refused():
    split_numbers(35, 10, 15, 1)
    split_numbers(34, 10, 15, 0)
    with pytest.raises(RefmgError, match=r"found 9 images besides .* at least the 10 that seed 1"):
        split_numbers(34, 10, 15, 1)
    with pytest.raises(RefmgError, match="some left to train"):
        split_numbers(25, 10, 15, 0)
