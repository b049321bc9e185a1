"""What the tests of the Numba backend share."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from refmg_backends import get_backend

numba = pytest.importorskip("numba", reason="kernels compiled by Numba: pip install 'refmg[numba]'")


NUMBA, NUMPY = get_backend("numba"), get_backend("numpy")


def in_fresh_process(program, **environment):
    path = os.pathsep.join(p for p in sys.path if p)
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.split()
