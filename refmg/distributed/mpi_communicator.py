"""The ranks that ``mpiexec`` started, by mpi4py."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any, NoReturn

import numpy as np

from refmg.distributed.communicator import Communicator, Numbers, SerialCommunicator
from refmg_backends import RefmgError
from refmg_backends.launcher import SIZES, STEP, launched

PAUSE = 0.01  # seconds between looks at a barrier


class MPICommunicator:
    """A communicator of mpi4py.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Used by nobody else: messages of others would be taken for ours.
    """

    def __init__(self, comm: Any) -> None:
        self.comm, self.rank, self.size = comm, int(comm.Get_rank()), int(comm.Get_size())

    def sum(self, numbers: Numbers) -> Numbers:
        """Return the sums over all ranks."""
        out = np.empty_like(numbers)
        self.comm.Allreduce(numbers, out)
        return out

    def begin_sum(self, numbers: Numbers) -> Callable[[], Numbers]:
        """Begin the sums over all ranks."""
        out = np.empty_like(numbers)
        request = self.comm.Iallreduce(numbers, out)

        def finished() -> Numbers:
            request.Wait()
            return out

        return finished

    def broadcast_numbers(self, numbers: Numbers) -> Numbers:
        """Return the array of rank 0."""
        out = numbers if self.rank == 0 else np.empty_like(numbers)
        self.comm.Bcast(out)
        return out

    def broadcast(self, content: Any) -> Any:
        """Return the object of rank 0."""
        return self.comm.bcast(content)

    def gather(self, content: Any) -> list[Any]:
        """Return the objects of all ranks."""
        return list(self.comm.allgather(content))

    def begin_send(self, numbers: Numbers, to: int) -> Callable[[], None]:
        """Begin to send an array."""
        return self._waiting(self.comm.Isend(numbers, to), numbers)

    def begin_receive(self, numbers: Numbers, source: int) -> Callable[[], None]:
        """Begin to fill an array."""
        return self._waiting(self.comm.Irecv(numbers, source), numbers)

    def _waiting(self, request: Any, numbers: Numbers) -> Callable[[], None]:
        def finished() -> None:
            request.Wait()
            assert numbers is not None  # held until then

        return finished

    def split(self, group: int) -> MPICommunicator:
        """Return the communicator of the ranks that name the same group."""
        return MPICommunicator(self.comm.Split(group, self.rank))

    def local_rank(self) -> tuple[int, int]:
        """Return the rank among those that share this machine's memory, and how many they are."""
        from mpi4py import MPI

        local = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
        found = int(local.Get_rank()), int(local.Get_size())
        local.Free()
        return found

    def all_arrive(self, seconds: float) -> bool:
        """Return whether all ranks call this within some seconds of each other; it never waits longer."""
        request, end = self.comm.Ibarrier(), monotonic() + seconds
        while not request.Test():
            if monotonic() > end:
                return False
            sleep(PAUSE)
        return True

    def abort(self, status: int) -> NoReturn:
        """End all ranks at once."""
        self.comm.Abort(status)
        raise SystemExit(status)  # not reached


def world_communicator(environment: Mapping[str, str] | None = None) -> Communicator:
    """Return all processes that were started together; of one alone, MPI is not even loaded.

    Parameters
    ----------
    environment : mapping, optional
        As in :func:`launched`.

    Raises
    ------
    RefmgError
        If there are several, but mpi4py is missing or belongs to another MPI.

    Examples
    --------
    >>> world_communicator({}).size
    1
    """
    found = os.environ if environment is None else environment
    if not launched(found):
        return SerialCommunicator()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise RefmgError(
            f"found several ranks, but mpi4py cannot be loaded ({error}); pip install 'refmg[mpi]', or start "
            "one process"
        ) from error
    comm = MPICommunicator(MPI.COMM_WORLD.Dup())
    _check_size(comm.size, found)
    return comm if comm.size > 1 else SerialCommunicator()


def _check_size(size: int, environment: Mapping[str, str]) -> None:
    told = next((environment[name] for name in SIZES if name in environment), None)
    if told is None:
        # Launchers of others may be a step of Slurm's themselves, one task a machine.
        told = environment.get(STEP, str(size)) if size == 1 else str(size)
    if told != str(size):
        raise RefmgError(
            f"found {told} ranks by the launcher and {size} by mpi4py, which belongs to another MPI; "
            "expected mpiexec and mpi4py of one MPI: pip install mpi4py for that mpiexec; with Slurm, "
            "srun --mpi=NAME of what this MPI understands (srun --mpi=list)"
        )
