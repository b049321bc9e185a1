"""How many processors a process may use."""

from __future__ import annotations

import os

import pytest
from numba_cases import in_fresh_process

_BOUND = """
import os
from refmg_backends.processors import processors
before = processors()
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(before, processors(), len(os.sched_getaffinity(0)))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be bound here")
def test_processors_are_those_before_a_library_binds_the_thread_that_loads_it():
    before, after, bound = map(int, in_fresh_process(_BOUND))
    assert before == after == len(os.sched_getaffinity(0))
    assert bound == 1
