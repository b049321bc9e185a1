"""What this installation is and does."""

from __future__ import annotations

import platform

import numpy as np
import scipy

from refmg import __version__, backend_names, get_backend
from refmg_backends import capabilities, check_environment, default_dtype
from refmg_validation.ranks import ranks_in_words


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
        "TF32": "on, as REFMG_TF32 asks" if backend.tf32 else "off",
        "threads": str(backend.threads()),
        "ranks": ranks_in_words(),
        "repeatable": "to the last bit" if backend.deterministic else "to rounding only",
        "kernels": ", ".join(f"{name} ({whose})" for name, whose in capabilities(backend).items()),
        "environment": ", ".join(f"{k}={v}" for k, v in sorted(check_environment().items()))
        or "no REFMG_* set",
    }
