"""Work that does not fit into memory is done in halves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from refmg_backends import Backend


class Divisible(Protocol):
    """Something about a number of examples."""

    @property
    def size(self) -> int:
        """Number of examples."""

    def halves(self) -> list[Any]:
        """Return the same for the first half of the examples, and for the others."""


Part = TypeVar("Part", bound=Divisible)


def in_halves(backend: Backend, function: Callable[[Part], Any], parts: list[Part]) -> list[Any]:
    """Return `function` of each part in order; one that does not fit into memory gives way to its halves.

    Parameters
    ----------
    backend : Backend
        Is asked to release memory before the next attempt.
    function : callable
        Of one part.
    parts : list
        What there is; holds the halves afterwards, so that the next call need not fail again.

    Returns
    -------
    list
        One result a part.

    Raises
    ------
    MemoryError
        If a single example does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from refmg import Batch, get_backend
    >>> def size(batch):
    ...     if batch.size > 2:
    ...         raise MemoryError
    ...     return batch.size
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     in_halves(get_backend("numpy"), size, [Batch(np.ones((1, 5)), np.ones((2, 5)))])
    [2, 1, 2]
    >>> len(caught)
    2
    """
    found = list[Any]()
    while len(found) < len(parts):
        part = parts[len(found)]
        try:
            found.append(function(part))
            continue
        except MemoryError:
            if part.size < 2:
                raise
        # Out of the handler, which holds on to the arrays of the failed call.
        parts[len(found) : len(found) + 1] = part.halves()
        del part
        backend.release()
        warn_of_halving(sum(each.size for each in parts[len(found) : len(found) + 2]))
    return found


def warn_of_halving(examples: int) -> None:
    """Say that a batch of so many examples is halved."""
    warnings.warn(
        f"out of memory with {examples} examples; the batch is halved and work goes on: "
        f"smaller batches, such as {examples // 2}, save the failed attempt",
        stacklevel=3,
    )
