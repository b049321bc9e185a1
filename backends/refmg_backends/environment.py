"""The ``REFMG_*`` environment variables: all of them, and nothing that looks like one."""

from __future__ import annotations

import os
from collections.abc import Mapping

from refmg_backends.errors import RefmgError, one_of

VARIABLES = {
    "REFMG_BACKEND": "name of the array backend (default: numpy)",
    "REFMG_DTYPE": "float32 or float64 (default: float64)",
    "REFMG_TF32": "1 lets float32 products on a GPU be rounded to TF32; 0, the default, does not",
    "REFMG_DATA": "folder with MNIST's IDX files or tars of photographs, or with subfolders of those",
}
DTYPES = ("float32", "float64")


def check_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the ``REFMG_*`` variables that are set; refuse names that refmg does not know.

    A misspelt variable would otherwise be ignored in silence, and the run would use another
    backend or precision than its user believes.

    Parameters
    ----------
    environment : mapping, optional
        The variables to look at; those of the process by default.

    Returns
    -------
    dict
        Name and value of each ``REFMG_*`` variable that is set.

    Raises
    ------
    RefmgError
        If a name begins with ``REFMG_`` and is not in :data:`VARIABLES`.

    Examples
    --------
    >>> check_environment({"REFMG_BACKEND": "numpy", "HOME": "/root"})
    {'REFMG_BACKEND': 'numpy'}
    >>> check_environment({"REFMG_BACKENDS": "numpy"})
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: unknown environment variable 'REFMG_BACKENDS' (did you mean \
'REFMG_BACKEND'?); expected one of: REFMG_BACKEND, REFMG_DATA, REFMG_DTYPE, REFMG_TF32
    """
    source = os.environ if environment is None else environment
    ours = {name: value for name, value in source.items() if name.startswith("REFMG_")}
    for name in ours:
        if name not in VARIABLES:
            raise RefmgError(one_of("environment variable", name, VARIABLES))
    return ours


def default_dtype(dtype: str | None = None) -> str:
    """Return the floating-point type to use: argument, else ``REFMG_DTYPE``, else ``"float64"``.

    Raises
    ------
    RefmgError
        If the name is not ``"float32"`` or ``"float64"``.

    Examples
    --------
    >>> default_dtype("float32")
    'float32'
    """
    environment = check_environment()
    name = dtype or environment.get("REFMG_DTYPE") or "float64"
    if name not in DTYPES:
        raise RefmgError(one_of("dtype", name, DTYPES))
    return name


def tf32_asked() -> bool:
    """Return whether ``REFMG_TF32`` asks for TF32: 1, as opposed to 0 or nothing.

    Raises
    ------
    RefmgError
        If it is anything else, which would be taken for one or the other in silence.

    Examples
    --------
    >>> tf32_asked()
    False
    """
    found = check_environment().get("REFMG_TF32") or "0"
    if found not in ("0", "1"):
        raise RefmgError(f"found REFMG_TF32={found}; expected 1 to let float32 be rounded to TF32, or 0")
    return found == "1"
