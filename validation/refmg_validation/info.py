"""What this installation is and does."""

from __future__ import annotations

import platform
from textwrap import fill

import numpy as np
import scipy

from refmg import __version__, backend_names, get_backend
from refmg_backends import Backend, capabilities, check_environment, default_dtype
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
        "own kernels": _kernels(backend, "own"),
        "reference": _kernels(backend, "reference"),
        "environment": ", ".join(f"{k}={v}" for k, v in sorted(check_environment().items()))
        or "no REFMG_* set",
    }


def _kernels(backend: Backend, whose: str) -> str:
    return ", ".join(name for name, owner in capabilities(backend).items() if owner == whose) or "none"


def description(width: int = 100) -> str:
    """Return what :func:`describe` found as lines, names first, of at most so many characters.

    A single word that is longer, such as a path, is not broken.

    Examples
    --------
    >>> description().splitlines()[0] == f"refmg        {__version__}"
    True
    """
    rows = (
        fill(value, width, initial_indent=f"{name:12s} ", subsequent_indent=" " * 13,
             break_long_words=False, break_on_hyphens=False)
        for name, value in describe().items()
    )  # fmt: skip
    return "\n".join(rows)
