"""Compiled code that several processes write into one cache at the same time, and what went wrong there.

Two ways to machine code of another function, both silent. Numba numbers what a process compiles, and the
numbers are part of the symbols: two variants of a function by one name, compiled by different processes as
their tenth, have one symbol, and whoever links both from the cache gets one of them twice (numba issue
10486). And a cache lists its files in an index that nobody locks: two processes that compile a function
for two types at once may both name their file number 1.
"""

from __future__ import annotations

import os
import secrets
from itertools import count
from typing import Any

from numba.core import bytecode, caching


class KeyedCacheFile(caching.IndexDataCacheFile):  # type: ignore[misc]
    """Files of compiled code that say themselves what they are: code of anything else is not taken."""

    def save(self, key: Any, data: Any) -> None:
        """Save code for its key: types, processor and source of a function."""
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        """Return the code for a key, nothing where there is none or the file is that of another key."""
        found = super().load(key)
        return found[1] if found is not None and found[0] == key else None


def count_apart() -> None:
    """Count what this process compiles from a random number on: no other process has its symbols."""
    bytecode.FunctionIdentity._unique_ids = count(secrets.randbits(62))


def share_safely() -> None:
    """Do so in this process and in its children: a fork, which not every system has, inherits the counter."""
    count_apart()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=count_apart)
