"""A command run by several ranks: one prints, and one that fails ends all."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from typing import Any

from refmg.distributed import Communicator, HostRoute, MPICommunicator, Route, choose_device, choose_route
from refmg_backends import RefmgError, check_environment, get_backend
from refmg_backends.processors import own_processors, share_processors
from refmg_validation.ranks import Ranks, once, using

GRACE = 5.0  # seconds in which ranks that fail alike find each other
Command = Callable[[], tuple[int, str]]


def run_together(communicator: MPICommunicator, command: Command, shared: bool) -> int:
    """Run a command on all ranks and return its exit status; the first rank prints.

    Parameters
    ----------
    communicator : MPICommunicator
        All ranks.
    command : callable
        Returns exit status and what to say on standard error.
    shared : bool
        Whether ranks share its work; else the first rank runs it alone.

    Returns
    -------
    int
        Where all ranks fail, as for bad input, the first one says why. A rank that fails alone says so itself
        and ends all: the others may wait for it.
    """
    faults = MPICommunicator(communicator.comm.Dup())
    _divide_processors(communicator)
    run = command if shared else lambda: once(command)
    with using(Ranks(communicator)), open(os.devnull, "w") as nowhere:
        out = sys.stdout if communicator.rank == 0 else nowhere
        with redirect_stdout(out):
            status, message = _guarded(communicator, run)
        out.flush()
    if status == 0:
        return 0
    if faults.all_arrive(GRACE):
        if communicator.rank == 0 and message:
            print(message, file=sys.stderr, flush=True)
        return status
    print(f"rank {communicator.rank}: {message}", file=sys.stderr, flush=True)
    faults.abort(status)


def _guarded(communicator: MPICommunicator, command: Command) -> tuple[int, str]:
    """Run it; a mistake of ours is told with its trace, as Python does."""
    try:
        choose = _chooser(communicator)
        with using(Ranks(communicator, route=choose(communicator), choose=choose)):
            return command()
    except RefmgError as error:
        return 2, f"refmg: {error}"
    except Exception:
        return 1, traceback.format_exc().rstrip()


def _chooser(communicator: MPICommunicator) -> Callable[[Any], Route]:
    """Return what says how sums travel, of all ranks or of a group of them.

    Where the backend works on GPUs, every rank has its own when this returns.
    """
    if (check_environment().get("REFMG_BACKEND") or "numpy") != "cupy":
        return HostRoute
    try:
        import cupy
    except ImportError:
        return HostRoute  # the command says what is missing
    choose_device(communicator, cupy)
    return partial(choose_route, backend=get_backend(), cupy=cupy)


def _divide_processors(communicator: Communicator) -> None:
    """Let ranks that are bound to the same processors of a machine, or to none, divide them.

    A machine may have more than a job may use: that ranks have fewer does not say that each has its own.
    """
    own = socket.gethostname(), own_processors()
    here = sum(bool(name == own[0] and bound == own[1]) for name, bound in communicator.gather(own))
    if "NUMBA_NUM_THREADS" not in os.environ:
        os.environ["NUMBA_NUM_THREADS"] = str(share_processors(here))
    else:
        share_processors(here)
