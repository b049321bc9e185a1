"""How a sum is made: trees, divisions of examples, messages."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_ranks import SimulatedRanks

from refmg import get_backend
from refmg.distributed import Division, PairwiseSum, Share
from refmg.distributed.division import fixed_block
from refmg.distributed.pairwise import aligned_nodes


@given(st.integers(1, 70), st.lists(st.integers(0, 70), max_size=6))
@settings(deadline=None, max_examples=60)
def test_the_tree_is_the_same_whatever_the_parts(count, cuts):
    def add(a, b):
        return f"({a}{b})"

    ends = [0, *sorted(min(cut, count) for cut in cuts), count]
    whole, root = PairwiseSum(add, 0, count), PairwiseSum(add, 0, count)
    for number in range(count):
        whole.push(number, 1, f"{number},")
    for first, last in pairwise(ends):
        part = PairwiseSum(add, first, last)
        for number in range(first, last):
            part.push(number, 1, f"{number},")
            # What is called final does not change any more.
            assert part.nodes[: part.final()] == _later(add, part, first, last)[: part.final()]
        assert [node[:2] for node in part.nodes] == aligned_nodes(first, last)
        for node in part.nodes:
            root.push(*node)
    assert root.total() == whole.total()


def _later(add, part, first, last):
    found = PairwiseSum(add, first, last)
    for number in range(first, last):
        found.push(number, 1, f"{number},")
    return found.nodes


def test_a_tree_with_a_gap_is_refused():
    tree = PairwiseSum(lambda a, b: a + b, 0, 3)
    tree.push(0, 1, 1.0)
    tree.push(2, 1, 1.0)
    with pytest.raises(ValueError, match="expected all terms"):
        tree.total()


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 9))
def test_divisions_have_every_example_once(examples, block, size):
    division = Division(examples, block, size)
    numbers = [n for rank in range(size) for n in range(examples)[division.part(rank)]]
    assert numbers == list(range(examples))
    counts = [len(division.blocks(rank)) for rank in range(size)]
    assert max(counts) - min(counts) <= 1
    assert division.idle == (min(counts) == 0)
    assert counts[0] > 0


@given(st.integers(1, 10_000), st.integers(1, 200), st.sampled_from([1, 8, 16]))
def test_fixed_blocks_know_nothing_of_ranks_and_suit_kernels(examples, size, lanes):
    block = fixed_block(examples, size, lanes, most=128)
    assert 1 <= block <= min(size, 128)
    assert block <= lanes or block % lanes == 0


def test_small_arrays_share_a_message_and_large_ones_keep_their_type():
    place, counts = get_backend("numpy"), []
    for size in (10, 100_000):
        many = SimulatedRanks(2)
        terms = np.float32(0.1), np.int64(2**53 - 1), np.full(size, 0.1, np.float32)

        def run(comm, terms=terms):
            how = Share(comm)
            mine = terms if comm.rank == 0 else (terms[0], np.int64(0), terms[2])
            return how.total(place, [mine], how.division(2, 1))

        loss, whole, array = many.run(run)[1]
        # A number is summed in float64 with the rounding of its own type, whole numbers exactly.
        assert (float(loss), int(whole)) == (2 * float(np.float32(0.1)), 2**53 - 1)
        assert (loss.dtype, whole.dtype, array.dtype) == (np.float64, np.int64, np.float32)
        assert np.array_equal(array, np.full(size, np.float32(0.1) * 2))
        counts.append(many.messages["sum"])
    assert counts == [1, 2]


def test_simulated_ranks_find_what_ranks_do_differently():
    with pytest.raises(AssertionError, match="different operations"):
        SimulatedRanks(2).run(lambda comm: comm.sum(np.zeros(1)) if comm.rank else comm.gather(0))
    with pytest.raises(AssertionError, match="different arrays"):
        SimulatedRanks(2).run(lambda comm: comm.sum(np.zeros(1 + comm.rank)))
