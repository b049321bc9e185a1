"""Every operation of a communicator on real ranks, and what must come out: a script."""

import numpy as np
import pytest

from refmg.distributed import HostRoute, MPICommunicator, Share, from_first, world_communicator
from refmg_backends import get_backend


def main() -> None:
    comm = world_communicator()
    assert isinstance(comm, MPICommunicator)
    rank, size = comm.rank, comm.size
    one = np.arange(5.0) + rank
    total = size * np.arange(5.0) + size * (size - 1) / 2
    assert np.array_equal(comm.sum(one), total)
    wait = comm.begin_sum(one)
    assert np.array_equal(wait(), total)
    assert np.array_equal(comm.broadcast_numbers(one.copy()), np.arange(5.0))
    assert comm.broadcast({"rank": rank}) == {"rank": 0}
    assert comm.gather(rank) == list(range(size))
    _messages(comm)
    _groups(comm)
    _first(comm)
    _pieces(comm)
    _slow(comm)
    if rank == 0:
        print(f"{size} ranks agree")


def _messages(comm: MPICommunicator) -> None:
    """Send two arrays to rank 0, which gets them in this order."""
    if comm.rank:
        for wait in [comm.begin_send(np.full(3, 10.0 * comm.rank + k), 0) for k in (0, 1)]:
            wait()
        return
    for source in range(1, comm.size):
        found = [np.empty(3), np.empty(3)]
        for wait in [comm.begin_receive(array, source) for array in found]:
            wait()
        assert [array[0] for array in found] == [10.0 * source, 10.0 * source + 1]


def _groups(comm: MPICommunicator) -> None:
    group = comm.split(comm.rank % 2)
    assert group.size == len(range(comm.rank % 2, comm.size, 2))
    assert group.gather(comm.rank) == list(range(comm.rank % 2, comm.size, 2))
    assert comm.local_rank()[1] == comm.size


def _first(comm: MPICommunicator) -> None:
    assert from_first(comm, lambda: comm.rank) == 0

    def fail() -> None:
        raise FileNotFoundError("no such thing")

    with pytest.raises(FileNotFoundError, match="no such thing"):
        from_first(comm, fail)


def _pieces(comm: MPICommunicator) -> None:
    """Sums of several types, plain and by fixed blocks."""
    place = get_backend("numpy")
    for deterministic in (False, True):
        share = Share(comm, deterministic, HostRoute(comm))
        division = share.division(40, 4)
        own = range(40)[share.part(division)]
        size = share.batch(division, 1)
        starts = range(own.start, own.stop, size)
        blocks = [range(start, min(start + size, own.stop)) for start in starts]
        terms = ((np.float32(sum(b)), np.int64(len(b)), np.full((2, 3), float(len(b)))) for b in blocks)
        loss, count, array = share.total(place, terms, division)
        assert (float(loss), int(count)) == (780.0, 40)
        assert np.array_equal(array, np.full((2, 3), 40.0))


def _slow(comm: MPICommunicator) -> None:
    """A barrier that does not wait for ever, and one that all reach."""
    first = MPICommunicator(comm.comm.Dup())
    if comm.rank == 0:
        assert not first.all_arrive(0.05)
    comm.gather(None)
    assert comm.all_arrive(30.0)


if __name__ == "__main__":
    main()
