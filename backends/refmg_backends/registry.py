"""Choosing a backend by name: explicit, printed, and never a silent fallback."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from refmg_backends.backend import Backend
from refmg_backends.environment import check_environment, tf32_asked
from refmg_backends.errors import BackendUnavailableError, RefmgError, UnknownBackendError, one_of
from refmg_backends.members import missing_members

GROUP = "refmg.backends"


def _numpy() -> Backend:
    from refmg_backends.numpy_backend import NumpyBackend

    return NumpyBackend()


def _array_api_strict() -> Backend:
    from refmg_backends.strict_backend import StrictBackend

    return StrictBackend()


def _numba() -> Backend:
    from refmg_backends.numba_backend import NumbaBackend

    return NumbaBackend()


def _cupy() -> Backend:
    from refmg_backends.cupy_backend import load_cupy_backend

    return load_cupy_backend()


def _adversarial() -> Backend:
    from refmg_backends.adversarial_backend import AdversarialBackend

    return AdversarialBackend()


BUILT_IN: dict[str, Callable[[], Backend]] = {
    "numpy": _numpy,
    "numba": _numba,
    "cupy": _cupy,
    "array-api-strict": _array_api_strict,
    "adversarial-numpy": _adversarial,
}
INSTALL_HINTS = {
    "numba": "pip install 'refmg[numba]'",
    "cupy": "pip install 'refmg[cuda12]' or 'refmg[cuda13]', as the driver of your GPU wants",
    "array-api-strict": "pip install 'refmg[test]'",
}


def backend_names() -> list[str]:
    """Return the names that :func:`get_backend` knows, third parties' included, sorted.

    Examples
    --------
    >>> "numpy" in backend_names()
    True
    """
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def get_backend(name: str | None = None) -> Backend:
    """Return the backend of this name: argument, else ``REFMG_BACKEND``, else ``"numpy"``.

    Parameters
    ----------
    name : str, optional
        One of :func:`backend_names`.

    Returns
    -------
    Backend
        The same object at each call with the same name.

    Raises
    ------
    UnknownBackendError
        If there is no such backend; the message names the closest match and all names.
    BackendUnavailableError
        If its library or device is missing; the message says what to install.
    RefmgError
        If what a third party registered is no backend; the message names what it lacks.

    Examples
    --------
    >>> get_backend("numpy")
    <refmg backend 'numpy' on cpu>
    >>> get_backend("nunpy")
    Traceback (most recent call last):
        ...
    refmg_backends.errors.UnknownBackendError: unknown backend 'nunpy' (did you mean 'numpy'?); \
expected one of: adversarial-numpy, array-api-strict, cupy, numba, numpy
    """
    environment = check_environment()
    tf32_asked()  # refuses what is neither yes nor no, on whatever backend
    chosen = name or environment.get("REFMG_BACKEND") or "numpy"
    if chosen not in BUILT_IN and chosen not in backend_names():
        raise UnknownBackendError(one_of("backend", chosen, backend_names()))
    return _load(chosen)


@cache
def _load(name: str) -> Backend:
    try:
        made = _factory(name)()
    except ImportError as error:
        raise _unavailable(name, error) from error
    if lacking := missing_members(made):
        raise RefmgError(
            f"backend {name!r} is {type(made).__name__!r} and lacks {', '.join(lacking)}; expected the "
            "members of refmg_backends.Backend: derive it from ArrayBackend, which has them all"
        )
    return made


def _factory(name: str) -> Callable[[], Any]:
    if name in BUILT_IN:
        return BUILT_IN[name]
    (point,) = [point for point in entry_points(group=GROUP) if point.name == name][:1]
    try:
        factory = point.load()
    except AttributeError as error:  # the module is there, and what it should hold is not
        raise _unavailable(name, error) from error
    if not callable(factory):
        raise RefmgError(
            f"backend {name!r} is registered as {point.value!r}, which is {type(factory).__name__!r}; "
            "expected a function or class that is called without arguments"
        )
    return factory  # type: ignore[no-any-return]


def _unavailable(name: str, error: Exception) -> BackendUnavailableError:
    hint = INSTALL_HINTS.get(name, "install the package that registers it, or mend its entry point")
    return BackendUnavailableError(f"backend {name!r} is known but cannot be loaded ({error}); {hint}")
