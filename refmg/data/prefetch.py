"""The next batches made ready, in a thread, while the one before is at work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from refmg_backends import RefmgError
from refmg_backends.thread_device import device_for_threads

Item = TypeVar("Item")
Ready = TypeVar("Ready")


def prefetched(items: Iterable[Item], prepare: Callable[[Item], Ready], ahead: int = 2) -> Iterator[Ready]:
    """Yield ``prepare(item)`` in order; the next ones are prepared beforehand, in one thread.

    Parameters
    ----------
    items : iterable
        What to prepare: numbers of images, say.
    prepare : callable
        Reads, converts and moves to the device, which is that of the thread that takes the items; called one
        item after the other, so that what it draws at random does not depend on who waits for whom.
    ahead : int
        How many are prepared beforehand; 0 for none, without a thread.

    Raises
    ------
    RefmgError
        If `ahead` is negative. An error of `prepare` is raised where its item would have come.

    Examples
    --------
    >>> list(prefetched([1, 2, 3], lambda number: number**2))
    [1, 4, 9]
    """
    if ahead < 0:
        raise RefmgError(f"found {ahead} items to prepare beforehand; expected 0 or more")
    if ahead == 0:
        yield from map(prepare, items)
        return
    with ThreadPoolExecutor(1, "refmg-prefetch", device_for_threads()) as thread:
        waiting = deque[Future[Ready]]()
        try:
            for item in items:
                waiting.append(thread.submit(prepare, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
