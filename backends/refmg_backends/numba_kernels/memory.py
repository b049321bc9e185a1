"""Arrays that begin on a cache line, in memory that is used again.

A vector load that straddles two cache lines costs twice as much. And memory that is new to the process
costs more than computing what goes into it: the operating system clears it page by page at first
touch, and takes it back when a large array is freed.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import OrderedDict
from math import prod
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 64  # bytes; also the width of the widest vector registers
SMALLEST = 1 << 16  # bytes; below, the C library keeps freed memory itself


class Pool:
    """Blocks of memory that arrays have been freed from, to be lent again.

    At most twice as many bytes are kept as were ever lent at one time, enough for two kinds of work that
    take turns, such as the two blocks of coordinate descent: what the process holds is at most three times
    its own peak. A block comes back when the last view of its array is gone.
    """

    def __init__(self) -> None:
        self.free: OrderedDict[int, list[Any]] = OrderedDict()
        self.lent = self.most_lent = self.kept = 0
        self._lock = RLock()  # a garbage collection inside `lend` may call `_take_back`

    def __repr__(self) -> str:
        return f"<{self.lent} bytes lent, {self.kept} kept>"

    def lend(self, size: int) -> Any:
        """Return a buffer of `size` bytes that comes back by itself."""
        with self._lock:
            blocks = self.free.get(size)
            if blocks:
                self.kept -= size
                block = blocks.pop()
            else:
                block = np.empty(size, np.uint8)
            self.lent += size
            self.most_lent = max(self.most_lent, self.lent)
        buffer = (ctypes.c_char * size).from_buffer(block)  # type: ignore[arg-type]
        weakref.finalize(buffer, self._take_back, block, size).atexit = False
        return buffer

    def _take_back(self, block: Any, size: int) -> None:
        with self._lock:
            self.lent -= size
            self.kept += size
            self.free.setdefault(size, []).append(block)
            self.free.move_to_end(size)
            while self.kept > 2 * self.most_lent:
                oldest, blocks = next(iter(self.free.items()))
                if blocks:
                    blocks.pop()
                    self.kept -= oldest
                else:
                    del self.free[oldest]

    def clear(self) -> None:
        """Give what is kept back to the operating system."""
        with self._lock:
            self.free.clear()
            self.kept, self.most_lent = 0, self.lent


POOL = Pool()


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an uninitialised C-ordered array whose data begin on a cache line.

    Examples
    --------
    >>> aligned_empty((3, 5), np.float32).ctypes.data % LINE
    0
    """
    kind, count = np.dtype(dtype), prod(shape)
    size = count * kind.itemsize + LINE
    raw = np.empty(size, np.uint8) if size < SMALLEST else np.frombuffer(POOL.lend(size), np.uint8)
    first = -raw.ctypes.data % LINE
    return raw[first : first + count * kind.itemsize].view(kind).reshape(shape)


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
