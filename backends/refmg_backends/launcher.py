"""Whether a launcher of MPI started this process as one of several: its variables say so, without MPI."""

from __future__ import annotations

import os
from collections.abc import Mapping

# What launchers tell the processes that they start: MPICH and Intel MPI, Open MPI, MVAPICH2, PMIx.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
# Of Slurm's srun, which starts processes even where they find no MPI, and each takes itself to be alone.
STEP = "SLURM_STEP_NUM_TASKS"
RANKS = ("PMIX_RANK",)


def launched(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether a launcher such as ``mpiexec`` started this process as one of several.

    Parameters
    ----------
    environment : mapping, optional
        The variables to look at; those of the process by default.

    Examples
    --------
    >>> launched({"PMI_SIZE": "2"}), launched({"PMI_SIZE": "1"}), launched({})
    (True, False, False)
    """
    found = os.environ if environment is None else environment
    sizes = [found[name] for name in (*SIZES, STEP) if name in found]
    several = any(size.isdecimal() and int(size) > 1 for size in sizes)
    return several or (not sizes and any(name in found for name in RANKS))
