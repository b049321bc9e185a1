"""Memory of a GPU that one step takes, counted alike for CuPy's pool and PyTorch's."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from refmg_backends import Backend
from refmg_validation.bench.torch_peer import TorchPeer

Step = Callable[[], Any]
Memory = dict[str, float]


def has_pool(backend: Backend) -> bool:
    """Return whether memory of this backend is CuPy's pool's."""
    return backend.device != "cpu" and backend.name == "cupy"


def pool_memory(backend: Backend, step: Step) -> Memory:
    """Return what the pool holds, and the most that was in use, during a step; nothing without a pool.

    The pool must have been emptied (``backend.release()``) before the arrays of the step were made: what
    others left in it would count.

    Parameters
    ----------
    backend : Backend
    step : callable
        Is called once; not timed, as counting takes time.

    Returns
    -------
    dict
        ``"GB reserved"`` and ``"GB used"``.
    """
    if not has_pool(backend):
        return {}
    import cupy

    pool = cupy.get_default_memory_pool()
    used = [pool.used_bytes()]

    class Peak(cupy.cuda.MemoryHook):  # type: ignore[misc]
        name = "peak"

        def malloc_postprocess(self, **what: Any) -> None:
            used.append(max(used.pop(), pool.used_bytes()))

    with Peak():
        step()
        backend.synchronize()
    return _shown(pool.total_bytes(), used[0])


def empty_torch(peer: TorchPeer) -> None:
    """Give back what earlier networks in PyTorch left, and count anew."""
    if peer.device == "cuda":
        gc.collect()
        peer.torch.cuda.empty_cache()
        peer.torch.cuda.reset_peak_memory_stats()


def torch_memory(peer: TorchPeer) -> Memory:
    """Return the same of PyTorch since :func:`empty_torch`; nothing without a GPU."""
    if peer.device != "cuda":
        return {}
    cuda = peer.torch.cuda
    return _shown(cuda.max_memory_reserved(), cuda.max_memory_allocated())


def _shown(reserved: int, used: int) -> Memory:
    return {"GB reserved": round(reserved / 1e9, 3), "GB used": round(used / 1e9, 3)}
