"""Checks of the numbers in settings, before anything is trained with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from refmg_backends import RefmgError


def is_whole(number: object) -> bool:
    """Say whether a value is a whole number, of Python or NumPy; True and False are none.

    Examples
    --------
    >>> is_whole(3), is_whole(2.5), is_whole(True)
    (True, False, False)
    """
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def check_whole(settings: Any, names: Iterable[str], least: int) -> None:
    """Refuse settings in which one of these is not a whole number of at least `least`.

    Parameters
    ----------
    settings : object
        Has the names as attributes.
    names : iterable of str
        What is checked.
    least : int
        The smallest that is allowed.

    Raises
    ------
    RefmgError
        Names the first that is wrong.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> check_whole(SimpleNamespace(epochs=2.5), ["epochs"], 1)
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: found epochs = 2.5; expected a whole number, 1 or more
    """
    for name in names:
        found = getattr(settings, name)
        if not is_whole(found) or found < least:
            raise RefmgError(f"found {name} = {found}; expected a whole number, {least} or more")


def whole_tuple(name: str, given: Any) -> tuple[int, ...]:
    """Return a sequence of whole numbers as a tuple.

    Raises
    ------
    RefmgError
        With what was found, where it is none.

    Examples
    --------
    >>> whole_tuple("blocks", [3, 4])
    (3, 4)
    """
    numbers = tuple(given) if isinstance(given, Iterable) else (None,)
    if not all(map(is_whole, numbers)):
        raise RefmgError(f"found {name} = {given!r}; expected a sequence of whole numbers")
    return tuple(int(n) for n in numbers)
