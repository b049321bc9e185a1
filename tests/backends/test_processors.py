"""How many processors a process may use."""

from __future__ import annotations

import os

import pytest
from numba_cases import in_fresh_process

from refmg_backends.processors import BINDING

_BOUND = """
import os
from refmg_backends.processors import processors
before = processors()
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(before, processors())
"""


pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be bound here")
HERE = 0 if not hasattr(os, "sched_getaffinity") else len(os.sched_getaffinity(0))


def test_processors_are_those_before_openmp_binds_the_thread_that_loads_it():
    assert list(map(int, in_fresh_process(_BOUND, OMP_PROC_BIND="true"))) == [HERE, HERE]


def test_a_process_that_is_bound_to_one_processor_is_told_of_one():
    unbound = dict.fromkeys(BINDING, "") | {"OMP_PROC_BIND": "FALSE"}
    assert list(map(int, in_fresh_process(_BOUND, **unbound))) == [HERE, 1]
