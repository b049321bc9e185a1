"""A command line run by one process or several ranks: exit statuses, and one line for what went wrong."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.exceptions import TyperException

from refmg_backends import RefmgError, check_environment, default_dtype  # not from refmg: no mathematics
from refmg_backends.launcher import launched

INTERRUPTED = "interrupted"
GOES_ON = f"{INTERRUPTED}; the same command goes on after the last finished iteration"
LIGHT = {"--help", "--version"}  # answered without a backend
SHARED = ("transfer", "bench", "info")  # by ranks
TRAININGS = ("resolution", "depth", "pyramid", "imagenet10")  # of reproduce: shared as well, with checkpoints
SIGINT_STATUS = 130  # what typer makes of Ctrl-C


def run(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run the command; bad input gives one line on standard error and exit status 2.

    Parameters
    ----------
    app : Typer
        All commands.
    arguments : list of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit status.
    """
    if not launched():
        return _told(_command(app, arguments))  # of one process: help and versions need no mathematics
    from refmg.distributed import MPICommunicator, world_communicator

    try:
        communicator = world_communicator()
    except RefmgError as error:
        return _told(_failed(str(error)))
    if not isinstance(communicator, MPICommunicator):
        return _told(_command(app, arguments))
    from refmg_validation.together import run_together

    return run_together(communicator, lambda: _command(app, arguments), is_shared(_given(arguments)))


def _told(outcome: tuple[int, str]) -> int:
    status, message = outcome
    if message:
        print(message, file=sys.stderr)
    return status


def _command(app: typer.Typer, arguments: list[str] | None) -> tuple[int, str]:
    """Run the command; return its exit status and what to say on standard error."""
    try:
        check_environment()
        default_dtype()
        if LIGHT.isdisjoint(sys.argv[1:] if arguments is None else arguments):
            from refmg_backends import get_backend

            get_backend()  # which imports SciPy
        with _warnings_in_words():
            result = typer.main.get_command(app)(arguments, prog_name="refmg", standalone_mode=False)
        sys.stdout.flush()
        return _interrupted(arguments) if result == SIGINT_STATUS else (int(result or 0), "")
    except TyperException as error:
        message = error.format_message()
        # No command: the help was printed.
        return _failed(f"{message} (see {_command_of(error)} --help)") if message else (2, "")
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2, ""
    except (RefmgError, OSError) as error:
        return _failed(str(error))


@contextmanager
def _warnings_in_words() -> Iterator[None]:
    """Let warnings of refmg's own kinds be one line, without the place in the source."""
    usual = warnings.formatwarning

    def line(message: Any, category: type[Warning], *where: Any, **named: Any) -> str:
        if category.__module__.split(".")[0] == "refmg":
            return f"refmg: warning: {message}\n"
        return usual(message, category, *where, **named)

    warnings.formatwarning = line  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _command_of(error: TyperException) -> str:
    """Return the command that was called, as far as it was understood."""
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "refmg"


def _given(arguments: list[str] | None) -> list[str]:
    return sys.argv[1:] if arguments is None else arguments


def is_shared(given: list[str]) -> bool:
    """Return whether ranks share the work of a command; others the first rank runs alone.

    Examples
    --------
    >>> is_shared(["reproduce", "depth"]), is_shared(["reproduce", "example1"]), is_shared(["verify"])
    (True, False, False)
    """
    return given[:1] in [[name] for name in SHARED] or _is_training(given)


def _is_training(given: list[str]) -> bool:
    return given[:1] == ["reproduce"] and bool(given[1:2]) and given[1] in TRAININGS


def _interrupted(arguments: list[str] | None) -> tuple[int, str]:
    """Say that the run was interrupted, and that it goes on only where it does."""
    return _failed(GOES_ON if _is_training(_given(arguments)) else INTERRUPTED)


def _failed(message: str) -> tuple[int, str]:
    return 2, "refmg: " + " ".join(message.split())
