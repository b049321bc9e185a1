"""Which tests a process of ``pytest -n`` gets together, and in which order: kernels are compiled once.

Two processes that meet a kernel of the Numba backend at the same time would both compile it, which takes
minutes for all of them. Whole files at a time, so that what the tests of a file share is made once.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

# Long files first: at the end processes then wait for a short one.
ORDER = ("tests/backends", "tests/distributed", "tests/validation", "tests/docs", "tests")
KERNELS = "tests/backends"


def part_of(nodeid: str) -> str:
    """Return the name of the tests that one process runs together: a file, or those of all kernels.

    Kernels of a GPU have their own compiler, and are another process's work meanwhile.
    """
    file = nodeid.split("::")[0]
    together = PurePosixPath(file).parent.as_posix() == KERNELS and "cuda" not in file
    return KERNELS if together else file


def turn_of(nodeid: str) -> tuple[int, bool]:
    """Return what orders the tests: kernels to compile first, then folders of long files, then the rest."""
    folder = PurePosixPath(nodeid.split("::")[0]).parent
    known = [place for place, name in enumerate(ORDER) if folder.as_posix() == name]
    above = [place for place, name in enumerate(ORDER[:-1]) if folder.is_relative_to(name)]
    return min([*known, *above], default=len(ORDER)), part_of(nodeid) != KERNELS


def pytest_collection_modifyitems(items):
    """Sort whole files; within a file nothing moves."""
    items.sort(key=lambda item: turn_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each process the next part, in the order of the collection."""
    from xdist.scheduler import LoadFileScheduling

    class Parts(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return part_of(nodeid)

    config.option.loadscopereorder = False
    return Parts(config, log)
