"""Where compiled kernels are kept: in a folder named by their sources.

Numba looks for changes in the file of a compiled function only. What is compiled into it from other files,
such as generated loops and constants, may have changed: an update of refmg would run old machine code.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba.core import caching
from numba.core import config as numba_config
from numba.misc.appdirs import AppDirs

from refmg_backends.numba_kernels.shared_cache import KeyedCacheFile

HERE = Path(__file__).parent
config: Any = numba_config  # its names are made at run time
# Beside this package, the files with constants that the kernels compile in.
CONSTANTS = ("activation.py", "geometry.py")


def source_digest() -> str:
    """Return a name for the present sources of all kernels.

    Examples
    --------
    >>> len(source_digest())
    16
    """
    digest = hashlib.sha256()
    for source in (*sorted(HERE.glob("*.py")), *(HERE.parent / name for name in CONSTANTS)):
        digest.update(f"{source.name}\n".encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder(chosen: str) -> str:
    """Return a folder for compiled code of the present sources, or nothing where none can be written.

    Parameters
    ----------
    chosen : str
        ``NUMBA_CACHE_DIR``, of which it will be a subfolder; if empty, of ``__pycache__`` beside the
        kernels or, where that cannot be written, of the user's cache folder.
    """
    usual = HERE / "__pycache__", Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)
    for folder in (Path(chosen),) if chosen else usual:
        found = folder / f"refmg-{source_digest()}"
        if _writable(found):
            return str(found)
    return chosen


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@contextmanager
def keyed_by_sources() -> Iterator[None]:
    """Keep the compiled code of what is defined meanwhile in the folder of the present sources."""
    before, files = config.CACHE_DIR, caching.IndexDataCacheFile
    config.CACHE_DIR, caching.IndexDataCacheFile = cache_folder(before), KeyedCacheFile
    try:
        yield
    finally:
        config.CACHE_DIR, caching.IndexDataCacheFile = before, files
