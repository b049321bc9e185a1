"""Several ranks: examples shared out, sums over all of them, and who says what to whom."""

from refmg.distributed.communicator import Communicator, SerialCommunicator
from refmg.distributed.devices import choose_device, choose_route, is_cuda_aware
from refmg.distributed.division import Division
from refmg.distributed.mpi_communicator import MPICommunicator, world_communicator
from refmg.distributed.once import from_first
from refmg.distributed.pairwise import PairwiseSum
from refmg.distributed.routes import CudaAwareRoute, HostRoute, NcclRoute, Route
from refmg.distributed.share import Share
from refmg.distributed.shared_examples import SharedExamples, share_examples, share_of
from refmg_backends.launcher import launched

__all__ = [
    "Communicator",
    "CudaAwareRoute",
    "Division",
    "HostRoute",
    "MPICommunicator",
    "NcclRoute",
    "PairwiseSum",
    "Route",
    "SerialCommunicator",
    "Share",
    "SharedExamples",
    "choose_device",
    "choose_route",
    "from_first",
    "is_cuda_aware",
    "launched",
    "share_examples",
    "share_of",
    "world_communicator",
]
