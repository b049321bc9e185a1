"""Who was launched, with whom, and whether real ranks agree."""

import threading

import pytest
import ranks_operations
from mpi_runs import finish
from simulated_ranks import SimulatedRanks

from refmg import RefmgError
from refmg.distributed import SerialCommunicator, launched, world_communicator
from refmg_validation import together
from refmg_validation.ranks import ranks


@pytest.mark.parametrize("size", [2, 3, 4])
def test_real_ranks_agree(size):
    assert finish(size, ranks_operations.__file__).strip() == f"{size} ranks agree"


def test_who_was_launched():
    assert launched({"OMPI_COMM_WORLD_SIZE": "4"})
    assert launched({"PMIX_RANK": "0"})
    assert not launched({"SLURM_NTASKS": "4"})  # of a job's script, which is one process
    assert launched({"SLURM_STEP_NUM_TASKS": "4"})  # of srun, with whatever MPI
    assert not launched({"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"})
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


def test_tasks_of_slurm_that_find_no_mpi_do_not_each_run_it_all():
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: pip install 'refmg[mpi]'")
    from refmg.distributed.mpi_communicator import _check_size

    with pytest.raises(RefmgError, match=r"found 4 ranks by the launcher and 1 by mpi4py.*srun --mpi=list"):
        _check_size(1, {"SLURM_STEP_NUM_TASKS": "4"})
    # An mpiexec of its own may be a step of two tasks that start four ranks each.
    _check_size(8, {"SLURM_STEP_NUM_TASKS": "2", "PMIX_RANK": "0"})
    _check_size(1, {"SLURM_STEP_NUM_TASKS": "2", "PMI_SIZE": "1"})


@pytest.mark.parametrize(
    ("bound", "sharers"),
    [
        ([{0, 1}] * 4, [4] * 4),
        ([{0}, {1}, {2}, {3}], [1] * 4),
        ([set()] * 4, [4] * 4),
        ([{0}, {0}, {2}], [2, 2, 1]),
    ],
    ids=["a job's own part of a machine", "bound by the launcher", "nothing says", "some"],
)
def test_ranks_divide_the_processors_that_they_have_in_common(monkeypatch, bound, sharers):
    told = {}
    here = threading.local()
    monkeypatch.setattr(together, "own_processors", lambda: frozenset(here.bound))
    monkeypatch.setattr(together, "share_processors", lambda n: told.setdefault(here.rank, n))
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")

    def run(comm):
        here.rank, here.bound = comm.rank, bound[comm.rank]
        together._divide_processors(comm)

    SimulatedRanks(len(bound)).run(run)
    assert [told[rank] for rank in range(len(bound))] == sharers
