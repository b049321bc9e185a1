"""``NotImplementedError`` as an adapter means it, told apart from one that a library raised in it."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

RAISE = dis.opmap["RAISE_VARARGS"]


def announced(error: NotImplementedError, function: Callable[..., Any]) -> bool:
    """Whether an error is a ``raise`` statement of the adapter.

    PyTorch raises ``NotImplementedError`` for what one of its kernels lacks: a mistake of the call, not a
    case that the adapter leaves out.

    Parameters
    ----------
    error : NotImplementedError
        As caught by who called the function.
    function : callable
        The adapter's.

    Examples
    --------
    >>> def lacks():
    ...     raise NotImplementedError
    >>> try:
    ...     lacks()
    ... except NotImplementedError as error:
    ...     print(announced(error, lacks))
    True
    """
    frames = list(_entries(error.__traceback__))[1:]  # without the caller's
    if not frames:
        return False
    deepest = frames[-1]
    modules = {_module(frames[0]), getattr(function, "__module__", "")}
    ours = any(_together(_module(deepest), name) for name in modules if name)
    # Code in C has no frame of its own: the adapter's then stands at a call.
    return ours and deepest.tb_frame.f_code.co_code[deepest.tb_lasti] == RAISE


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _module(entry: TracebackType) -> str:
    return str(entry.tb_frame.f_globals.get("__name__", ""))


def _together(module: str, other: str) -> bool:
    """Whether two modules are the same or lie in one package."""
    package = other.rpartition(".")[0]
    return module == other or (bool(package) and f"{module}.".startswith(f"{package}."))
