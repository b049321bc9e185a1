"""The backends that tests run on, each with the reason where it is left out."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from refmg_backends.registry import INSTALL_HINTS

NAMES = ("numpy", "numba", "array-api-strict", "adversarial-numpy", "cupy")
LIBRARIES = {"numba": "numba", "array-api-strict": "array_api_strict"}
HOW = "pytest -m gpu on a machine with a GPU, or make gpu"


def installed(library):
    """Whether a library can be imported; it is not imported."""
    try:
        return find_spec(library) is not None
    except ValueError:  # blocked
        return False


def named(name):
    """A parameter of a test: skipped without its library, left to ``-m gpu`` where it needs a GPU."""
    if name == "cupy":
        return pytest.param(name, marks=pytest.mark.gpu)
    library = LIBRARIES.get(name)
    missing = library is not None and not installed(library)
    reason = f"backend {name!r} is not installed: {INSTALL_HINTS.get(name)}"
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=reason))


BACKENDS = [named(name) for name in NAMES]


def left_out(count):
    """What is said of tests that need a GPU and did not run."""
    return f"{count} tests need a GPU and were left out: {HOW}"
