"""What one rank does for all: its result, or its error, is everybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refmg.distributed.communicator import Communicator


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
        That of the function, on every rank: no rank waits for one that has failed.

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
            found = False, error
    good, value = communicator.broadcast(found)
    if not good:
        raise value
    return value
