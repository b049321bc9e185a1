"""What this installation is and does."""

from __future__ import annotations

import platform

import numpy as np
import scipy

from refmg import __version__, backend_names, get_backend
from refmg_backends import check_environment, default_dtype
from refmg_backends.processors import processors


def describe() -> dict[str, str]:
    """Return names and values for ``refmg info``.

    Examples
    --------
    >>> describe()["refmg"] == __version__
    True
    """
    backend = get_backend()
    return {
        "refmg": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "backend": f"{backend.name} (of {', '.join(backend_names())})",
        "device": backend.device,
        "dtype": default_dtype(),
        "TF32": "off (not used by this backend)",
        "threads": str(processors()),
        "environment": ", ".join(f"{k}={v}" for k, v in sorted(check_environment().items()))
        or "no REFMG_* set",
    }
