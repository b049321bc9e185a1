"""One rank a GPU, and the quickest route between them."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from refmg.distributed.mpi_communicator import MPICommunicator
from refmg.distributed.routes import CudaAwareRoute, HostRoute, NcclRoute, Route
from refmg_backends import Backend, BackendUnavailableError, RefmgError

QUERY = "MPIX_Query_cuda_support"  # of Open MPI and MPICH
TOLD = "MPICH_GPU_SUPPORT_ENABLED"  # by HPE Cray's MPICH, which has no such function


def choose_device(communicator: MPICommunicator, cupy: Any) -> int:
    """Choose the GPU of this rank, before anything is on one; return its number.

    Parameters
    ----------
    communicator : MPICommunicator
        All ranks.
    cupy : module
        CuPy.

    Raises
    ------
    BackendUnavailableError, RefmgError
        On every rank, if one of them has no GPU, or two would have to share one.
    """
    count, (local, here) = _count(communicator, cupy), communicator.local_rank()
    # Where a launcher shows each rank its own GPU alone, that is number 0 for all; or those of its socket.
    number = local % count
    name = cupy.cuda.runtime.deviceGetPCIBusId(number)
    places = communicator.gather((socket.gethostname(), name))
    if len({*places}) < len(places):
        raise RefmgError(
            f"found {here} ranks on {socket.gethostname()} for {count} GPU(s); expected one GPU a rank: "
            "start fewer ranks, or ask the launcher for more GPUs"
        )
    cupy.cuda.Device(number).use()
    return number


def _count(communicator: MPICommunicator, cupy: Any) -> int:
    """Return how many GPUs this rank sees; all ranks hear of one that sees none."""
    try:
        count, reason = int(cupy.cuda.runtime.getDeviceCount()), "CuPy counts no device"
    except Exception as error:  # CuPy raises its own kinds, which cannot be named without its libraries
        count, reason = 0, f"{type(error).__name__}: {error}"
    found = communicator.gather((socket.gethostname(), reason if count < 1 else ""))
    for rank, (host, why) in enumerate(found):
        if why:
            raise BackendUnavailableError(
                f"backend 'cupy' is installed but rank {rank} on {host} found no GPU ({why}); run one rank a "
                "GPU on machines with an NVIDIA GPU and driver, or choose REFMG_BACKEND=numba"
            )
    return count


def choose_route(communicator: MPICommunicator, backend: Backend, cupy: Any = None) -> Route:
    """Return the quickest route for arrays of a backend, the same on every rank.

    Parameters
    ----------
    communicator : MPICommunicator
        All ranks, or a group of them, which has a route of its own: what its ranks have decides, and NCCL is
        set up for them alone.
    backend : Backend
        Where the arrays live.
    cupy : module, optional
        CuPy, for arrays on a GPU.

    Returns
    -------
    Route
        From GPU to GPU by MPI where that takes addresses on a device, else by NCCL, else through the host's
        memory, as for arrays that are there.
    """
    if cupy is None or not backend.device.startswith("cuda"):
        return HostRoute(communicator)
    if all(communicator.gather(is_cuda_aware())):
        return CudaAwareRoute(communicator.comm)
    if all(communicator.gather(bool(getattr(cupy.cuda.nccl, "available", False)))):
        return NcclRoute(cupy, communicator)
    return HostRoute(communicator)


def is_cuda_aware(
    environment: Mapping[str, str] | None = None, libraries: Iterable[Any] | None = None
) -> bool:
    """Return whether MPI takes addresses on a GPU.

    Parameters
    ----------
    environment : mapping, optional
        The variables to look at; those of the process by default.
    libraries : iterable of ctypes.CDLL, optional
        Where the MPI that is loaded may be; all that is loaded by default.

    Examples
    --------
    >>> is_cuda_aware({"MPICH_GPU_SUPPORT_ENABLED": "1"}, []), is_cuda_aware({}, [])
    (True, False)
    """
    found = os.environ if environment is None else environment
    if found.get(TOLD) == "1":
        return True
    for library in _loaded() if libraries is None else libraries:
        query = getattr(library, QUERY, None)
        if query is not None:
            return bool(query())
    return False


def _loaded() -> Iterable[Any]:
    """Yield what may hold MPI: its module, which is linked to it or has loaded it, and all of the process."""
    from mpi4py import MPI

    for name in (MPI.__file__, None):
        try:
            yield ctypes.CDLL(name)
        except OSError:
            continue
