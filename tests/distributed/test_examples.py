"""Examples of which every rank reads its own."""

import numpy as np
import pytest
from simulated_ranks import SimulatedRanks

from refmg import RefmgError
from refmg.distributed import Division, SerialCommunicator, Share, SharedExamples, share_examples


def test_a_rank_reads_its_own_part_of_a_mapped_file_alone(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(2 * 4 * 10.0).reshape(2, 4, 10))
    read = {}

    def run(comm):
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")

        def reading(numbers):
            read.setdefault(comm.rank, []).append(numbers)
            return mapped[..., numbers]

        x = SharedExamples(reading, mapped.shape, mapped.dtype, Share(comm))
        own = x.own(Division(10, 1, comm.size))
        assert x.own(Division(10, 1, comm.size)) is own
        # Nothing is copied: it is the file.
        assert np.shares_memory(own, mapped)
        return own.shape[-1]

    assert SimulatedRanks(3).run(run) == [4, 3, 3]
    assert read == {0: [slice(0, 4)], 1: [slice(4, 7)], 2: [slice(7, 10)]}


def test_examples_that_are_chosen_or_mapped_are_read_when_needed():
    x = share_examples(np.arange(12.0).reshape(1, 2, 6), Share(SerialCommunicator()))
    some = x[..., np.array([5, 0, 3])]
    assert (some.shape, some.ndim, some.dtype) == ((1, 2, 3), 3, np.float64)
    assert some.read(slice(0, 2)).tolist() == [[[5.0, 0.0], [11.0, 6.0]]]
    assert some[..., 1:].mapped(lambda part: part[:, :1] + 1).read([0, 1]).tolist() == [[[1.0, 4.0]]]
    with pytest.raises(RefmgError, match="expected x"):
        x[0]
