"""Which kernels a backend has itself, and which it takes from the reference."""

from __future__ import annotations

from refmg_backends.array_backend import ArrayBackend
from refmg_backends.backend import KERNELS, Backend


def capabilities(backend: Backend) -> dict[str, str]:
    """Return for each kernel ``"own"``, or ``"reference"`` where it is :class:`ArrayBackend`'s.

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> capabilities(get_backend("numpy"))["convolution"]
    'own'
    >>> capabilities(get_backend("numpy"))["tangent"]
    'reference'
    """
    own = type(backend)
    return {
        name: "reference" if getattr(own, name, None) is getattr(ArrayBackend, name) else "own"
        for name in KERNELS
    }
