"""Who was launched, with whom, and whether real ranks agree."""

import pytest
import ranks_operations
from mpi_runs import finish

from refmg import RefmgError
from refmg.distributed import SerialCommunicator, launched, world_communicator
from refmg_validation.ranks import ranks


@pytest.mark.parametrize("size", [2, 3])
def test_real_ranks_agree(size):
    assert finish(size, ranks_operations.__file__).strip() == f"{size} ranks agree"


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
