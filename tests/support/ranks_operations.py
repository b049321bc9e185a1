"""Every operation of a communicator on real ranks, and what must come out: a script."""

import numpy as np
import pytest

from refmg.distributed import (
    HostRoute,
    MPICommunicator,
    Share,
    from_first,
    share_examples,
    world_communicator,
)
from refmg.resnet import ResNetArchitecture, random_resnet
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
    _resnet(comm)
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

    class LocalError(Exception):
        """Of a class that no other rank can find."""

    def fail_strangely() -> None:
        raise LocalError("found a comet")

    with pytest.raises(LocalError if comm.rank == 0 else RuntimeError, match="found a comet"):
        from_first(comm, fail_strangely)


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


def _resnet(comm: MPICommunicator) -> None:
    """A pass through batch norms: what one process has."""
    net = random_resnet(ResNetArchitecture((6, 6), 2, 1, (1, 1), (2, 3)), 0, "float64", "numpy")
    x, labels = 5 + np.random.default_rng(0).standard_normal((1, 6, 6, 11)), np.arange(11) % 2
    whole, found = (net.loss_and_gradient(y, labels) for y in (x, share_examples(x, Share(comm))))
    assert (int(whole.hits), found.logits.shape[1] < 11) == (int(found.hits), True)
    for name, array in (whole.gradient | whole.statistics).items():
        # Sums over at most 11 x 36 numbers, through 11 convolutions and norms.
        bound = 2 * 11 * 11 * 36 * np.finfo(float).eps * np.abs(array).max()
        assert np.abs((found.gradient | found.statistics)[name] - array).max() <= bound, name


def _slow(comm: MPICommunicator) -> None:
    """A barrier that does not wait for ever, and one that all reach."""
    first = MPICommunicator(comm.comm.Dup())
    if comm.rank == 0:
        assert not first.all_arrive(0.05)
    comm.gather(None)
    assert comm.all_arrive(30.0)


if __name__ == "__main__":
    main()
