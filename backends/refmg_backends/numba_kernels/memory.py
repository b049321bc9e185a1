"""Arrays that begin on a cache line: a vector load that straddles two lines costs twice as much."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 64  # bytes; also the width of the widest vector registers


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an uninitialised C-ordered array whose data begin on a cache line.

    Examples
    --------
    >>> aligned_empty((3, 5), np.float32).ctypes.data % LINE
    0
    """
    kind, size = np.dtype(dtype), prod(shape)
    raw = np.empty(size + LINE // kind.itemsize, dtype=kind)
    first = -raw.ctypes.data % LINE // kind.itemsize
    return raw[first : first + size].reshape(shape)


def whole_vectors(X: NDArray[Any], dtype: Any, lanes: int) -> NDArray[Any]:
    """Return `X`, copied only if needed: C-ordered, writable, its last axis a multiple of `lanes`.

    Parameters
    ----------
    X : ndarray, shape (channels, cells, m)
        Features.
    dtype : dtype
        Wanted type.
    lanes : int
        Numbers in a vector register; missing examples are filled with zeros.
    """
    missing = -X.shape[-1] % lanes
    # Kernels are compiled once for writable arrays, not a second time for read-only ones.
    if X.dtype == dtype and X.flags.c_contiguous and X.flags.writeable and not missing:
        return X
    whole = aligned_empty((*X.shape[:-1], X.shape[-1] + missing), dtype)
    whole[..., : X.shape[-1]] = X
    whole[..., X.shape[-1] :] = 0
    return whole
