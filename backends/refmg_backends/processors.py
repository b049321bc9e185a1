"""How many processors there are for this process, and who may use them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_SHARERS = [1]  # processes that divide the processors of this machine
BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")


def _processors_now() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


# An OpenMP runtime that is told to bind threads leaves the thread that loads it, say by importing
# PyTorch, a single processor, and whoever asks from there is told of no other.
_AT_IMPORT = _processors_now()


def processors() -> int:
    """Return how many processors this process may use."""
    return max(1, (len(own_processors()) or os.cpu_count() or 1) // _SHARERS[0])


def own_processors() -> frozenset[int]:
    """Return the numbers of the processors that this process is bound to; none where nothing says.

    Where OpenMP is told to bind threads (:data:`BINDING`), those of the time when refmg was imported.

    Examples
    --------
    >>> len(own_processors()) <= (os.cpu_count() or 1)
    True
    """
    bound = any(os.environ.get(name, "").lower() not in ("", "false") for name in BINDING)
    return _AT_IMPORT if bound else _processors_now()


def share_processors(processes: int) -> int:
    """Divide the processors of this process among so many that have the same; return how many it is left.

    Examples
    --------
    >>> before = _SHARERS[0]
    >>> share_processors(max(1, len(own_processors())))  # as many processes as processors
    1
    >>> left = share_processors(before)
    """
    _SHARERS[0] = processes
    if _SHARERS[0] > 1:
        _controller().limit(limits=processors(), user_api="blas")
    return processors()


@cache
def _controller() -> ThreadpoolController:
    # Looking for the loaded libraries takes milliseconds, which small batches would notice: it is done
    # once, so what may be loaded later comes first. Compiled code calls SciPy's BLAS, not NumPy's.
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()


class _Limit:
    """BLAS on one thread as long as anybody in this process asks for it.

    The number of threads is one for the whole process. Callers may overlap in any order, as
    generators and threads do: the first one sets it, the last one gives back what was there before.
    """

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0
        self._before: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                self._before = _controller().limit(limits=1, user_api="blas")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._before.restore_original_limits()


_LIMIT = _Limit()


def one_blas_thread() -> AbstractContextManager[None]:
    """Return a context in which BLAS uses one thread; such contexts may overlap in any order.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    return _LIMIT()
