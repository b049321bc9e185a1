"""What one rank does for all: its result, or its error, is everybody's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from refmg.distributed.communicator import Communicator
from refmg_backends import RefmgError

PLAIN = (str, bytes, int, float, type(None))  # what errors are made of that every rank can make again


def from_first(communicator: Communicator, function: Callable[[], Any]) -> Any:
    """Return on every rank what a function returns on rank 0, where alone it is called.

    Parameters
    ----------
    communicator : Communicator
        All its ranks call this.
    function : callable
        Its result can be pickled.

    Raises
    ------
    Exception
        That of the function, on every rank: no rank waits for one that has failed. Where it cannot be sent,
        the others raise one with its words.

    Examples
    --------
    >>> from refmg.distributed import SerialCommunicator
    >>> from_first(SerialCommunicator(), lambda: 2)
    2
    """
    if communicator.size == 1:
        return function()
    found: tuple[bool, Any] = True, None
    if communicator.rank == 0:
        try:
            found = True, function()
        except Exception as error:
            communicator.broadcast((False, _sendable(error)))
            raise
    good, value = communicator.broadcast(found)
    if not good:
        raise value
    return value


def _can_be_made_again(error: Exception) -> bool:
    kind = type(error)
    if getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is not kind:
        return False
    try:
        made_of: Any = error.__reduce__()
        make, arguments, *state = made_of
        plain = all(isinstance(argument, PLAIN) for argument in arguments) and not any(state)
        return plain and str(make(*arguments)) == str(error)
    except Exception:  # whatever a class of others does
        return False


def _sendable(error: Exception) -> Exception:
    """Return an error that arrives: libraries have some that cannot be pickled, or not be made again."""
    if _can_be_made_again(error):
        return error
    if isinstance(error, RefmgError | OSError):  # which are bad input to commands
        return RefmgError(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")
