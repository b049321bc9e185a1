"""NumPy arrays to a backend and back, and sizes as refmg wants them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg import get_backend
from refmg_backends import Backend

Shape = tuple[int, ...]


class OnBackend:
    """A backend, and the way there and back.

    Parameters
    ----------
    backend : str, optional
        ``REFMG_BACKEND``, else NumPy.

    Examples
    --------
    >>> numpy = OnBackend("numpy")
    >>> numpy.down(numpy.up(np.ones(2, np.float32))).dtype
    dtype('float32')
    """

    def __init__(self, backend: str | None = None) -> None:
        self.place: Backend = get_backend(backend)

    def up(self, x: NDArray[Any]) -> Any:
        """Return an array of the backend, of the same type."""
        return self.place.asarray(np.ascontiguousarray(x), dtype=x.dtype.name)

    def down(self, x: Any) -> NDArray[Any]:
        """Return an array of the backend on the host."""
        return self.place.to_numpy(x)


def per_axis(value: Any, ndim: int) -> Shape:
    """Return one whole number an axis, from one or from as many.

    Examples
    --------
    >>> per_axis(2, 3), per_axis(np.array([1, 2]), 2)
    ((2, 2, 2), (1, 2))
    """
    return tuple(int(v) for v in np.broadcast_to(np.asarray(value), (ndim,)))


def grid_of(features: NDArray[Any]) -> Shape:
    """Return the cells of features ``(C, n_1, .., n_d, m)``."""
    return features.shape[1:-1]
