"""The GPU of a thread: each begins on number 0, whichever the thread that starts it works on."""

from __future__ import annotations

import sys
from collections.abc import Callable


def device_for_threads() -> Callable[[], None]:
    """Return what chooses, in another thread, the GPU of the thread that calls this.

    CuPy's current device belongs to a thread, and arrays go to it. Where CuPy is not loaded, or finds no
    device, there is nothing to choose.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(1, initializer=device_for_threads()) as thread:
    ...     thread.submit(int, "3").result()
    3
    """
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return _nothing
    try:
        device = cupy.cuda.Device()  # the current one, by its number from now on
    except Exception:  # CuPy raises its own kinds, which cannot be named without its libraries
        return _nothing
    # Threads begin on number 0, where nothing need be set up for a library that is loaded and not used.
    return (lambda: device.use()) if device.id else _nothing


def _nothing() -> None:
    """Choose nothing."""
