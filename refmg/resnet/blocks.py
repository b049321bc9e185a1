"""Fixed blocks of a batch: what a rank has of them, and functions that take one block after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from refmg.distributed.division import Division
from refmg_backends.backend import Array
from refmg_backends.processors import one_blas_thread


@dataclass(frozen=True)
class Blocks:
    """Arrays, examples last, or numbers found for them, of those fixed blocks of a batch that a rank has.

    What one process makes of a block are the same bits as on any rank: the same calls on the same arrays.
    Where batches have no fixed blocks, features are one array, of all examples that a process has.

    Parameters
    ----------
    parts : tuple
        One or more, in order.
    division : Division
        Of the batch.

    Examples
    --------
    >>> import numpy as np
    >>> Blocks((np.ones((2, 3, 4)), np.ones((2, 3, 1))), Division(5, 4, 1)).shape
    (2, 3, 5)
    """

    parts: tuple[Any, ...]
    division: Division

    @property
    def shape(self) -> tuple[int, ...]:
        """That of all parts together."""
        return (*self.parts[0].shape[:-1], sum(part.shape[-1] for part in self.parts))

    @property
    def dtype(self) -> Any:
        """That of each part."""
        return self.parts[0].dtype


def each(function: Callable[..., Any], *given: Any) -> Any:
    """Return a function of arrays, or of the blocks among what is given, one after the other.

    Parameters
    ----------
    function : callable
        Whatever is given and is not in blocks, it gets as it is.
    *given
        Blocks of one batch, arrays, anything.

    Returns
    -------
    array, Blocks, or tuple of them
        As the function returns arrays, or a tuple of them.

    Examples
    --------
    >>> import numpy as np
    >>> whole, division = np.arange(3.0), Division(3, 2, 1)
    >>> each(divmod, whole, 2)
    (array([0., 0., 1.]), array([0., 1., 0.]))
    >>> each(divmod, Blocks((whole[:2], whole[2:]), division), 2)[0].parts
    (array([0., 0.]), array([1.]))
    """
    first = next((x for x in given if isinstance(x, Blocks)), None)
    if first is None:
        return function(*given)
    columns = [x.parts if isinstance(x, Blocks) else (x,) * len(first.parts) for x in given]
    with one_blas_thread():  # products of matrices may depend on the number of threads
        found = [function(*one) for one in zip(*columns, strict=True)]
    if not isinstance(found[0], tuple):
        return Blocks(tuple(found), first.division)
    return tuple(Blocks(parts, first.division) for parts in zip(*found, strict=True))


def joined(xp: ModuleType, X: Array) -> Array:
    """Return what blocks hold as one array.

    Examples
    --------
    >>> import numpy as np
    >>> joined(np, Blocks((np.ones((1, 2)), np.zeros((1, 1))), Division(3, 2, 1)))
    array([[1., 1., 0.]])
    """
    return xp.concat(X.parts, axis=-1) if isinstance(X, Blocks) else X


def contiguous(xp: ModuleType, X: Array) -> Array:
    """Return an array whose numbers lie in a row: how they lie may decide the order of a sum over them.

    Examples
    --------
    >>> import numpy as np
    >>> contiguous(np, np.eye(4)[:, 1:3]).strides == (16, 8)
    True
    """
    return xp.reshape(xp.reshape(X, (-1,)), X.shape)
