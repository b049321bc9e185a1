"""The backends as one fixture, and a word on tests that need a GPU."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from every_backend import BACKENDS, left_out
from spreading import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401

from refmg_backends import get_backend
from refmg_backends.processors import share_processors

LEFT_OUT = pytest.StashKey[Counter]()  # tests that need a GPU, by file
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend that is there; where a library is missing, the test is skipped and says so."""
    return get_backend(request.param)


@pytest.fixture
def gpu_files(request):
    """Files with tests that need a GPU, among those that were collected and left out."""
    return set(request.config.stash.get(LEFT_OUT, {}))


def pytest_collection_finish():
    """Take a part of the processors, where the tests are spread over several processes.

    Threads that wait for those of another process would take most of the time of small tests.
    """
    share_processors(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_deselected(items):
    """Count what is left out for want of a GPU; not what a choice by name leaves out."""
    config = items[0].config
    if "not gpu" in config.option.markexpr and not config.option.keyword:
        need = [item.path for item in items if item.get_closest_marker("gpu") is not None]
        found = config.stash.setdefault(LEFT_OUT, Counter())
        found.update(path.relative_to(ROOT).as_posix() for path in need)


def pytest_sessionfinish(session):
    """Tell the process that reports, where the tests are spread over several."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = dict(session.config.stash.get(LEFT_OUT, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Hear it: every process collects all tests."""
    node.config.stash[LEFT_OUT] = Counter(getattr(node, "workeroutput", {}).get("left out", {}))


def pytest_terminal_summary(terminalreporter, config):
    """Say how many there are and how to run them."""
    count = sum(config.stash.get(LEFT_OUT, {}).values())
    if count:
        terminalreporter.write_line(left_out(count))
