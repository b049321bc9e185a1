"""Results that are kept for later calls, but no more bytes of them than a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from threading import Lock
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ByteCache(Generic[T]):
    """Results by key, those used last.

    Parameters
    ----------
    most : int
        Bytes that all results together may take; a larger one is not kept at all.
    size : callable
        Returns the bytes of a result.

    Examples
    --------
    >>> cache = ByteCache(10, len)
    >>> [cache.get(n, lambda n=n: "x" * n) for n in (4, 5, 20)]
    ['xxxx', 'xxxxx', 'xxxxxxxxxxxxxxxxxxxx']
    >>> sorted(cache.kept), cache.bytes
    ([4, 5], 9)
    """

    def __init__(self, most: int, size: Callable[[T], int]) -> None:
        self.most, self.size, self.bytes = most, size, 0
        self.kept: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under this key, or make it and keep it."""
        with self._lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        made = make()  # by several threads at once, perhaps, to the same result
        with self._lock:
            self._keep(key, made)
        return made

    def _keep(self, key: Hashable, made: T) -> None:
        if key in self.kept or self.size(made) > self.most:
            return
        self.kept[key] = made
        self.bytes += self.size(made)
        while self.bytes > self.most:
            self.bytes -= self.size(self.kept.popitem(last=False)[1])

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self.kept.clear()
            self.bytes = 0


def kept_by_bytes(most: int, size: Callable[[Any], int]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that keeps results by positional arguments, as ``functools.lru_cache`` does.

    Parameters
    ----------
    most : int
        Bytes that all results together may take.
    size : callable
        Returns the bytes of a result.

    Examples
    --------
    >>> @kept_by_bytes(100, len)
    ... def spaces(n):
    ...     return " " * n
    >>> spaces(3) is spaces(3), spaces.cache.bytes
    (True, 3)
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        cache = ByteCache[T](most, size)

        @wraps(function)
        def kept(*arguments: Hashable) -> T:
            return cache.get(arguments, lambda: function(*arguments))

        kept.cache = cache  # type: ignore[attr-defined]
        return kept

    return decorate
