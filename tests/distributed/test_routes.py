"""How sums travel: routes, and which GPU a rank and its threads take."""

import sys
import threading
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from simulated_ranks import SimulatedRanks

from refmg import BackendUnavailableError, RefmgError, get_backend
from refmg.data import prefetched
from refmg.distributed import (
    CudaAwareRoute,
    HostRoute,
    MPICommunicator,
    NcclRoute,
    Route,
    SerialCommunicator,
    choose_device,
    choose_route,
    is_cuda_aware,
)
from refmg_validation.ranks import Ranks, divided, ranks, share, using


class FakeGpu:
    """NumPy arrays that call themselves an array on a GPU."""

    def __init__(self):
        self.real, self.device, self.waits = get_backend("numpy"), "cuda: fake", 0
        self.xp, self.lanes, self.examples = self.real.xp, 1, 0

    def asarray(self, x, dtype=None):
        return self.real.asarray(x, dtype)

    def to_numpy(self, x):
        return x

    def synchronize(self):
        self.waits += 1


class FakeNccl:
    """The part of CuPy that is used, over simulated ranks."""

    NCCL_FLOAT32, NCCL_FLOAT64, NCCL_SUM = 7, 8, 0

    def __init__(self, comm, available=True):
        self.comm, self.available, self.calls, self.told = comm, available, [], None
        self.cuda = SimpleNamespace(nccl=self, get_current_stream=lambda: SimpleNamespace(ptr=0))

    def get_unique_id(self):
        assert self.comm.rank == 0, "one rank makes the identifier"
        return ("unique", 1)

    def NcclCommunicator(self, size, identifier, rank):
        self.told = size, identifier, rank
        return self

    def allReduce(self, source, target, size, kind, operation, stream):
        self.calls.append((size, kind, operation))
        Pointed.arrays[target][...] = self.comm.sum(Pointed.arrays[source])


class Pointed(np.ndarray):
    """An array whose ``data`` is a pointer, as CuPy's."""

    arrays: ClassVar = {}

    @property
    def data(self):
        Pointed.arrays[id(self)] = np.asarray(self)
        return SimpleNamespace(ptr=id(self))


def test_nccl_sums_on_the_device_and_leaves_other_types_to_the_host():
    def run(comm):
        fake, place = FakeNccl(comm), FakeGpu()
        route: Route = NcclRoute(fake, comm)
        message = np.arange(4, dtype=np.float32).view(Pointed)
        out = route.sum(place, message)
        other = route.sum(place, np.arange(3).astype(np.complex128))
        return fake.told, fake.calls, np.asarray(out).tolist(), other.tolist()

    for rank, found in enumerate(SimulatedRanks(2).run(run)):
        assert found == ((2, ("unique", 1), rank), [(4, 7, 0)], [0, 2, 4, 6], [0, 2, 4])


def test_cuda_aware_mpi_gets_the_arrays_themselves_once_the_device_is_done():
    place, seen = FakeGpu(), []

    class Comm:
        def Allreduce(self, message, out):
            seen.append((place.waits, message))
            out[...] = 2 * message

    message = np.ones(3)
    assert CudaAwareRoute(Comm()).sum(place, message).tolist() == [2, 2, 2]
    assert seen[0][0] == 1
    assert seen[0][1] is message


def test_staging_copies_a_piece_while_the_one_before_travels(monkeypatch):
    monkeypatch.setattr("refmg.distributed.routes.PIECE", 4)
    events = []

    class Gpu(FakeGpu):
        def to_numpy(self, x):
            events.append(f"copy {len(x)}")
            return x

    class Comm(SerialCommunicator):
        def begin_sum(self, numbers):
            events.append("begin")

            def wait():
                events.append("wait")
                return numbers

            return wait

    assert HostRoute(Comm()).sum(Gpu(), np.arange(10.0)).tolist() == list(range(10))
    assert events == ["copy 4", "begin", "copy 4", "begin", "copy 2", "begin", "wait", "wait", "wait"]


class FakeMPI(MPICommunicator):
    """Simulated ranks with what a machine of so many ranks says."""

    def __init__(self, comm, here):
        self.simulated, self.comm, self.rank, self.size, self.here = comm, "comm", comm.rank, comm.size, here

    def gather(self, content):
        return self.simulated.gather(content)

    def broadcast(self, content):
        return self.simulated.broadcast(content)

    def split(self, group):
        return FakeMPI(self.simulated.split(group), self.here)

    def local_rank(self):
        return self.rank % self.here, self.here


def fake_cupy(comm, devices, nccl=True):
    runtime = SimpleNamespace(
        getDeviceCount=lambda: len(devices), deviceGetPCIBusId=lambda number: devices[number]
    )
    cupy, used = FakeNccl(comm, nccl), []
    cupy.cuda.runtime = runtime
    cupy.cuda.Device = lambda number: SimpleNamespace(use=lambda: used.append(number))
    return cupy, used


class FakeThreads:
    """The devices of CuPy, of which every thread has a current one: number 0, until it chooses."""

    def __init__(self, found=True):
        self.found, self.of_thread, self.chosen = found, threading.local(), []
        self.cuda = SimpleNamespace(Device=self.device)

    def device(self, number=None):
        if not self.found:
            raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        number = getattr(self.of_thread, "number", 0) if number is None else number
        return SimpleNamespace(id=number, use=lambda: self.choose(number))

    def choose(self, number):
        self.of_thread.number = number
        self.chosen.append(number)


def test_each_rank_takes_a_gpu_of_its_own():
    def run(comm):
        cupy, used = fake_cupy(comm, ["a", "b"])
        return choose_device(FakeMPI(comm, 2), cupy), used

    assert SimulatedRanks(2).run(run) == [(0, [0]), (1, [1])]

    def alone(comm):
        # The launcher shows each rank one GPU: another one each.
        return choose_device(FakeMPI(comm, 2), fake_cupy(comm, [f"gpu {comm.rank}"])[0])

    assert SimulatedRanks(2).run(alone) == [0, 0]


def test_ranks_that_see_the_gpus_of_their_socket_take_one_each():
    def run(comm):
        seen = ["a", "b"] if comm.rank < 2 else ["c", "d"]
        return choose_device(FakeMPI(comm, 4), fake_cupy(comm, seen)[0])

    assert SimulatedRanks(4).run(run) == [0, 1, 0, 1]


@pytest.mark.parametrize("without", [{0, 1}, {1}])
@pytest.mark.parametrize("raises", [True, False])
def test_a_rank_without_a_gpu_is_named_on_every_rank(without, raises):
    def no_device():
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    def run(comm):
        cupy, _ = fake_cupy(comm, [] if comm.rank in without else ["a", "b"])
        if raises and comm.rank in without:
            cupy.cuda.runtime.getDeviceCount = no_device
        said = "RuntimeError: cudaErrorNoDevice" if raises else "CuPy counts no device"
        with pytest.raises(
            BackendUnavailableError, match=rf"rank {min(without)} on .* found no GPU \({said}"
        ):
            choose_device(FakeMPI(comm, 2), cupy)
        return True

    assert SimulatedRanks(2).run(run) == [True, True]


@pytest.mark.parametrize("ahead", [0, 2])
def test_batches_are_made_ready_on_the_gpu_of_their_rank(monkeypatch, ahead):
    cupy = FakeThreads()
    monkeypatch.setitem(sys.modules, "cupy", cupy)

    def run(comm):
        mine = fake_cupy(comm, ["a", "b", "c"])[0]
        mine.cuda.Device = cupy.device
        choose_device(FakeMPI(comm, 3), mine)
        return list(prefetched(range(4), lambda item: cupy.device().id, ahead))

    assert SimulatedRanks(3).run(run) == [[0] * 4, [1] * 4, [2] * 4]


def test_batches_are_made_ready_without_a_gpu_whatever_is_loaded(monkeypatch):
    for cupy in (FakeThreads(found=False), FakeThreads()):
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        assert list(prefetched(range(3), lambda item: -item)) == [0, -1, -2]
        assert not cupy.chosen


def test_two_ranks_on_one_gpu_are_refused_by_both():
    def run(comm):
        with pytest.raises(RefmgError, match=r"found 2 ranks on .* for 1 GPU\(s\); expected one GPU a rank"):
            choose_device(FakeMPI(comm, 2), fake_cupy(comm, ["a"])[0])
        return True

    assert SimulatedRanks(2).run(run) == [True, True]


@pytest.mark.parametrize(
    ("aware", "nccl", "name"),
    [(True, True, "CUDA-aware MPI"), (False, True, "NCCL"), (False, False, "the host's memory")],
)
def test_the_quickest_route_that_every_rank_has(monkeypatch, aware, nccl, name):
    def run(comm):
        found = choose_route(FakeMPI(comm, 2), FakeGpu(), fake_cupy(comm, ["a", "b"], nccl)[0])
        return found.name

    monkeypatch.setattr("refmg.distributed.devices.is_cuda_aware", lambda: aware)
    assert SimulatedRanks(2).run(run) == [name, name]


def test_one_rank_without_it_keeps_all_from_a_route(monkeypatch):
    def run(comm):
        return choose_route(FakeMPI(comm, 2), FakeGpu(), fake_cupy(comm, ["a", "b"], comm.rank == 0)[0]).name

    monkeypatch.setattr("refmg.distributed.devices.is_cuda_aware", lambda: False)
    assert SimulatedRanks(2).run(run) == ["the host's memory"] * 2
    assert choose_route(FakeMPI(SerialCommunicator(), 1), get_backend("numpy")).name == "the host's memory"


@pytest.mark.parametrize(
    ("aware", "without", "names"),
    [
        (range(5), (), ["CUDA-aware MPI"] * 3 + ["CUDA-aware MPI"] * 2),
        ((), (), ["NCCL"] * 5),
        ((0, 1, 2), (), ["CUDA-aware MPI"] * 3 + ["NCCL"] * 2),
        ((0, 1), (4,), ["NCCL"] * 3 + ["the host's memory"] * 2),
    ],
    ids=["all aware", "none", "one group aware", "one rank without"],
)
def test_a_group_takes_the_quickest_route_that_its_own_ranks_have(monkeypatch, aware, without, names):
    """Five ranks in groups of three and two."""
    here = threading.local()
    monkeypatch.setattr("refmg.distributed.devices.is_cuda_aware", lambda: here.rank in aware)

    def choose(comm):
        return choose_route(comm, FakeGpu(), fake_cupy(comm, list("abcde"), here.rank not in without)[0])

    def run(comm):
        here.rank = comm.rank
        whole = FakeMPI(comm, 5)
        with using(Ranks(whole, route=choose(whole), choose=choose)):
            return divided(["one", "two"], lambda item: (share().route.name, told(share().route)))

    def told(route):
        return route.cupy.told[::2] if isinstance(route, NcclRoute) else None

    groups = SimulatedRanks(5).run(run)[0]
    assert [groups[0][0]] * 3 + [groups[1][0]] * 2 == names
    sizes = [found and found[0] for _, found in groups]  # of those that NCCL joins
    assert sizes == [n if name == "NCCL" else None for n, (name, _) in zip((3, 2), groups, strict=True)]


def test_a_group_of_one_needs_no_route_and_processors_take_the_host():
    def run(comm):
        with using(Ranks(FakeMPI(comm, 3))):
            return divided(["one", "two"], lambda item: (ranks().size, share() and share().route.name))

    assert SimulatedRanks(3).run(run) == [[(2, "the host's memory"), (1, None)]] * 3


def test_what_mpi_says_of_addresses_on_a_gpu():
    yes, no = (SimpleNamespace(MPIX_Query_cuda_support=lambda answer=answer: answer) for answer in (1, 0))
    assert is_cuda_aware({}, [SimpleNamespace(), yes])
    assert not is_cuda_aware({}, [no, yes])
    assert not is_cuda_aware({}, [SimpleNamespace()])
