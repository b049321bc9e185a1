"""The parts of the communication, each for itself: trees, divisions, messages, routes, ranks."""

import pickle
import threading
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import ranks_operations
from hypothesis import given, settings
from hypothesis import strategies as st
from mpi_runs import finish
from simulated_ranks import SimulatedCommunicator, SimulatedRanks

from refmg import Architecture, RefmgError, get_backend, random_network
from refmg.distributed import (
    Communicator,
    CudaAwareRoute,
    Division,
    HostRoute,
    MPICommunicator,
    NcclRoute,
    PairwiseSum,
    Route,
    SerialCommunicator,
    Share,
    SharedExamples,
    choose_device,
    choose_route,
    from_first,
    is_cuda_aware,
    launched,
    share_examples,
    world_communicator,
)
from refmg.distributed.division import fixed_block
from refmg.distributed.pairwise import aligned_nodes
from refmg_validation.ranks import (
    Ranks,
    check_agreement,
    decisive,
    divided,
    once,
    ranks,
    ranks_in_words,
    share,
    summing,
    using,
)


@pytest.mark.parametrize("size", [2, 3])
def test_real_ranks_agree(size):
    assert finish(size, ranks_operations.__file__).strip() == f"{size} ranks agree"


# Sums


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


# Examples


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


# Routes


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


def test_each_rank_takes_a_gpu_of_its_own():
    def run(comm):
        cupy, used = fake_cupy(comm, ["a", "b"])
        return choose_device(FakeMPI(comm, 2), cupy), used

    assert SimulatedRanks(2).run(run) == [(0, [0]), (1, [1])]

    def alone(comm):
        # The launcher shows each rank one GPU: another one each.
        return choose_device(FakeMPI(comm, 2), fake_cupy(comm, [f"gpu {comm.rank}"])[0])

    assert SimulatedRanks(2).run(alone) == [0, 0]


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


def test_what_mpi_says_of_addresses_on_a_gpu():
    yes, no = (SimpleNamespace(MPIX_Query_cuda_support=lambda answer=answer: answer) for answer in (1, 0))
    assert is_cuda_aware({}, [SimpleNamespace(), yes])
    assert not is_cuda_aware({}, [no, yes])
    assert not is_cuda_aware({}, [SimpleNamespace()])


# Launching


def test_who_was_launched():
    assert launched({"OMPI_COMM_WORLD_SIZE": "4"})
    assert launched({"PMIX_RANK": "0"})
    assert not launched({"SLURM_NTASKS": "4"})  # of a job's script, which is one process
    assert isinstance(world_communicator({"PMI_SIZE": "1"}), SerialCommunicator)
    assert isinstance(ranks(), SerialCommunicator)


def test_ranks_without_mpi4py_are_an_error(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
    with pytest.raises(RefmgError, match=r"pip install 'refmg\[mpi\]'"):
        world_communicator({"PMI_SIZE": "2"})


def test_a_launcher_of_another_mpi_is_an_error():
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: pip install 'refmg[mpi]'")
    from refmg.distributed.mpi_communicator import _check_size

    _check_size(2, {"PMI_SIZE": "2"})
    with pytest.raises(RefmgError, match="found 2 ranks by the launcher and 1 by mpi4py"):
        _check_size(1, {"PMI_SIZE": "2"})


# What one does for all


def on_ranks(size, function):
    def run(comm):
        with using(Ranks(comm)):
            return function()

    return SimulatedRanks(size).run(run)


def test_files_are_written_by_one_and_its_error_is_everybodys(tmp_path):
    calls = []

    def write():
        calls.append(threading.get_ident())
        (tmp_path / "file").write_text("once")
        # What is asked for inside is done by the same rank.
        return once(lambda: "inside")

    assert on_ranks(3, lambda: once(write)) == ["inside"] * 3
    assert len(calls) == 1

    def fail():
        Path(tmp_path / "no" / "file").write_text("")

    def failing():
        with pytest.raises(FileNotFoundError):
            once(fail)
        return ranks().rank

    assert on_ranks(3, failing) == [0, 1, 2]
    assert from_first(SerialCommunicator(), lambda: 1) == 1


@pytest.mark.parametrize(("size", "items"), [(2, 5), (5, 2), (3, 3), (1, 3)])
def test_groups_of_ranks_share_out_the_items(size, items):
    seen = []

    def run():
        def work(item):
            seen.append((item, ranks().size))
            return ranks().sum(np.array([item])).tolist()[0] / ranks().size

        return divided(list(range(items)), work)

    assert on_ranks(size, run) == [list(range(items))] * size
    sizes = {item: ranks_of for item, ranks_of in seen}
    assert sum(sizes[item] for item in range(min(items, size))) == size


def test_a_network_travels_between_ranks():
    network = random_network(Architecture((4, 4)), 0, "numpy", "float32")
    found = pickle.loads(pickle.dumps(network))
    assert found.backend is network.backend
    assert np.array_equal(found.controls.stencils, network.controls.stencils)
    assert found.dtype == "float32"


def test_ranks_that_went_apart_are_stopped():
    def run(seeds):
        check_agreement(random_network(Architecture((4, 4)), seeds[ranks().rank], "numpy"))
        return True

    assert on_ranks(3, lambda: run([5, 5, 5])) == [True] * 3
    with pytest.raises(RefmgError, match=r"found other parameters on the ranks \[2\] than on rank 0"):
        on_ranks(3, lambda: run([5, 5, 6]))


def test_deterministic_sums_are_part_of_what_decides_a_result():
    assert share() is None
    assert decisive() == {}
    with summing(True):
        assert share().deterministic
        assert decisive() == {"deterministic": True}
    assert ranks_in_words() == "one"
    assert on_ranks(2, ranks_in_words) == ["2, sums travel by the host's memory"] * 2


def lacking(protocol, kind):
    """Return what a protocol asks for and a class does not have."""
    asked = {name for name in (*vars(protocol), *protocol.__annotations__) if not name.startswith("_")}
    # What the initialiser sets counts; a class without one of its own has nothing to set.
    initialiser = vars(kind).get("__init__", lambda: None)
    return asked - {*dir(kind), *initialiser.__code__.co_names}


def test_all_communicators_and_routes_have_what_is_asked_of_them():
    assert lacking(Communicator, SerialCommunicator) == set()
    assert lacking(Communicator, MPICommunicator) == set()
    assert lacking(Communicator, SimulatedCommunicator) == set()
    assert [lacking(Route, kind) for kind in (HostRoute, CudaAwareRoute, NcclRoute)] == [set()] * 3
    assert lacking(Route, SimulatedRanks) == {"name", "sum"}


def test_one_alone_has_nobody_to_talk_to():
    alone = SerialCommunicator()
    assert alone.split(3) is alone
    assert alone.broadcast_numbers(np.ones(1)).tolist() == [1.0]
    for call in (alone.begin_send, alone.begin_receive):
        with pytest.raises(ValueError, match="expected none"):
            call(np.zeros(1), 1)
    with pytest.raises(SystemExit):
        alone.abort(3)
    assert isinstance(HostRoute(alone).sum(get_backend("numpy"), np.ones(2)), np.ndarray)
