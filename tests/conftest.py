"""Compiled kernels of these very sources.

Numba looks for changes in the file of a compiled function only, not in those of the code that it generates.
"""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pytest_configure():
    """Keep compiled code in a folder named by the sources of all kernels."""
    digest = hashlib.sha256()
    for source in sorted((ROOT / "backends/refmg_backends/numba_kernels").glob("*.py")):
        digest.update(source.read_bytes())
    folder = ROOT / ".numba_cache" / digest.hexdigest()[:16]
    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder))
