"""Real ranks: ``mpiexec`` of the wheel, or whichever is on the path."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE = 300.0


def mpiexec():
    """Return the launcher; skip where mpi4py is not installed, fail where its launcher is not."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: pip install 'refmg[mpi]'")
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    assert found, "mpi4py is installed, but no mpiexec: pip install mpich"
    return found


def start(ranks, script, *arguments, **variables):
    """Start a script on so many ranks, one thread each; on one without MPI."""
    command = [mpiexec(), "-n", str(ranks)] if ranks > 1 else []
    command += [sys.executable, str(script), *map(str, arguments)]
    environment = os.environ | variables | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(ranks, script, *arguments, **variables):
    """Return what a run printed, which ended well."""
    status, printed, error, _ = ended(start(ranks, script, *arguments, **variables))
    assert status == 0, error
    return printed


def ended(process):
    """Return status, standard output and error of a run, and the seconds that it still took."""
    begin = time.monotonic()
    printed, error = process.communicate(timeout=PATIENCE)
    return process.returncode, printed, error, time.monotonic() - begin
