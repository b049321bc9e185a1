"""Which kernels a backend has itself, which it takes from the reference, and what it lacks."""

from __future__ import annotations

from typing import Any

from refmg_backends.array_backend import ArrayBackend
from refmg_backends.backend import KERNELS, Backend

ATTRIBUTES = tuple(Backend.__annotations__)
METHODS = tuple(name for name, member in vars(Backend).items() if callable(member) and name[0] != "_")


def capabilities(backend: Backend) -> dict[str, str]:
    """Return for each kernel ``"own"``, or ``"reference"`` where it is :class:`ArrayBackend`'s.

    What has no such method at all is ``"missing"``; :func:`refmg_backends.get_backend` refuses it.

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> capabilities(get_backend("numpy"))["convolution"]
    'own'
    >>> capabilities(get_backend("numpy"))["tangent"]
    'reference'
    """
    return {name: _whose(getattr(backend, name, None), name) for name in KERNELS}


def _whose(method: Any, name: str) -> str:
    if not callable(method):
        return "missing"
    function = getattr(method, "__func__", method)  # of a bound method
    return "reference" if function is getattr(ArrayBackend, name) else "own"


def missing_members(backend: Any) -> list[str]:
    """Return what an object lacks to be a backend; nothing if it has every attribute and method.

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> missing_members(get_backend("numpy"))
    []
    >>> missing_members(None)[:3]
    ['name', 'xp', 'device']
    """
    absent = [name for name in ATTRIBUTES if getattr(backend, name, None) is None]
    return absent + [f"{name}()" for name in METHODS if not callable(getattr(backend, name, None))]
