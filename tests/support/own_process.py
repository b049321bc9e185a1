"""What a rank of a test tells of its process, and how it is killed."""

import os
import signal
from pathlib import Path

PIDS = "TINY_PIDS"  # a folder: every rank writes the number of its process
DIE = "TINY_DIE"  # the number of a state: whoever writes it is killed in the midst of that


def tell_pid():
    """Write the number of this process under its rank, where a test asks for it: by MPI, of any launcher."""
    if PIDS in os.environ:
        from mpi4py import MPI

        Path(os.environ[PIDS], str(MPI.COMM_WORLD.Get_rank())).write_text(str(os.getpid()))


def die_while_writing(module):
    """Let the process be killed that writes a state by this module, where a test asks for it.

    All is written then and nothing in its place: the worst moment.
    """
    if DIE not in os.environ:
        return
    write, calls = module.write_state, []

    def dying(path, *content):
        calls.append(path)
        if len(calls) == int(os.environ[DIE]):
            os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
        write(path, *content)

    module.write_state = dying
