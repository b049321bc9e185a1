"""What this machine can do at best: products of large matrices, and copies of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refmg_backends import Backend, get_backend
from refmg_backends.processors import processors
from refmg_validation.bench.timing import time_call

ORDER, COPIED = 2048, 1 << 28


def measure_limits(backend: Backend, dtype: str) -> dict[str, float]:
    """Return the rate of a matrix product in GF/s, and of a copy in GB/s read and written.

    Both through the backend's own library, on as many threads as it uses.
    """
    xp = backend.xp
    A = backend.asarray([[1.0]], dtype=dtype) * xp.ones((ORDER, ORDER), dtype=getattr(xp, dtype))
    product = time_call(lambda: A @ A, backend.synchronize).median
    copy = time_call(_copier(backend, COPIED // np.dtype(dtype).itemsize, dtype), backend.synchronize).median
    return {"GF/s": round(2 * ORDER**3 / product / 1e9, 1), "GB/s": round(2 * COPIED / copy / 1e9, 1)}


def _copier(backend: Backend, size: int, dtype: str) -> Callable[[], Any]:
    """Return a copy into memory that is there, on all processors: new memory costs more than the copy."""
    if backend.device != "cpu":
        x = backend.xp.ones((size,), dtype=getattr(backend.xp, dtype))
        return lambda: backend.xp.asarray(x, copy=True)
    count, reference = processors(), get_backend("numpy")
    parts = [(np.ones(size // count, dtype), np.ones(size // count, dtype)) for _ in range(count)]
    return lambda: list(reference.map(lambda pair: np.copyto(*pair), parts))


def share_of_limit(seconds: float, flops: float, moved: float, limits: dict[str, Any]) -> float:
    """Return the time that the machine would need at best, divided by the time that was needed.

    Parameters
    ----------
    seconds : float
        Time needed.
    flops, moved : float
        Operations of the direct algorithm; bytes that must be read or written once.
    limits : dict
        From :func:`measure_limits`.
    """
    return max(flops / limits["GF/s"], moved / limits["GB/s"]) / 1e9 / seconds
