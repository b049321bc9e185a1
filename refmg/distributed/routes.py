"""How sums travel between ranks: from the host's memory, or from a GPU's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from refmg.distributed.communicator import Communicator
from refmg_backends import Backend
from refmg_backends.backend import Array

PIECE = 1 << 20  # numbers copied at a time from a device, while the piece before travels


class Route(Protocol):
    """Sums messages over ranks, where they are.

    Attributes
    ----------
    name : str
        In words, for ``refmg info``.
    """

    name: str

    def sum(self, backend: Backend, message: Array) -> Array:
        """Return the sums over all ranks of a flat array of the backend, the same bits on every rank."""


class HostRoute:
    """Through the host's memory: the route that is always there.

    From a device, a large array is copied in pieces: one is copied while the one before travels.

    Parameters
    ----------
    communicator : Communicator
        Of the ranks.
    """

    name = "the host's memory"

    def __init__(self, communicator: Communicator) -> None:
        self.communicator = communicator

    def sum(self, backend: Backend, message: Array) -> Array:
        """Return the sums, moved back to where the message was."""
        if backend.device == "cpu" or message.shape[0] <= PIECE:
            return backend.asarray(self.communicator.sum(np.ascontiguousarray(backend.to_numpy(message))))
        waits = list[Callable[[], Any]]()
        for start in range(0, message.shape[0], PIECE):
            piece = np.ascontiguousarray(backend.to_numpy(message[start : start + PIECE]))
            waits.append(self.communicator.begin_sum(piece))
        return backend.xp.concat([backend.asarray(wait()) for wait in waits])


class CudaAwareRoute:
    """From GPU to GPU by an MPI that takes addresses on the device.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Of the ranks; its ``Allreduce`` takes arrays with ``__cuda_array_interface__``.
    """

    name = "CUDA-aware MPI"

    def __init__(self, comm: Any) -> None:
        self.comm = comm

    def sum(self, backend: Backend, message: Array) -> Array:
        """Return the sums; MPI knows nothing of streams, so what was begun is finished first."""
        out = backend.xp.empty_like(message)
        backend.synchronize()
        self.comm.Allreduce(message, out)
        return out


class NcclRoute:
    """From GPU to GPU by NCCL.

    Parameters
    ----------
    cupy : module
        CuPy, with ``cupy.cuda.nccl``.
    communicator : Communicator
        Tells NCCL's identifier to all ranks, once.
    """

    name = "NCCL"

    def __init__(self, cupy: Any, communicator: Communicator) -> None:
        self.cupy, nccl = cupy, cupy.cuda.nccl
        identifier = nccl.get_unique_id() if communicator.rank == 0 else None
        identifier = communicator.broadcast(identifier)
        self.comm = nccl.NcclCommunicator(communicator.size, identifier, communicator.rank)
        self.types = {"float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64}
        self.host = HostRoute(communicator)

    def sum(self, backend: Backend, message: Array) -> Array:
        """Return the sums; they are begun on the current stream, as everything else."""
        if str(message.dtype) not in self.types:
            return self.host.sum(backend, message)
        out, add = backend.xp.empty_like(message), self.cupy.cuda.nccl.NCCL_SUM
        stream = self.cupy.cuda.get_current_stream().ptr
        kind = self.types[str(message.dtype)]
        self.comm.allReduce(message.data.ptr, out.data.ptr, message.size, kind, add, stream)
        return out
