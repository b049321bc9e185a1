"""Several arrays as few messages: one for each type, or one for all where they are small."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from refmg.distributed.communicator import Numbers
from refmg_backends import Backend
from refmg_backends.backend import Array

SMALL = 1 << 16  # bytes; below, one message more costs longer than the same bytes twice


@dataclass(frozen=True)
class Layout:
    """Shapes and types of arrays, and of the messages that carry them.

    Parameters
    ----------
    shapes : tuple of tuple of int
        Of each array.
    types : tuple of str
        Of each array, by NumPy's names.

    Examples
    --------
    >>> Layout(((), (), (3,)), ("float64", "int64", "float32")).carriers
    ('float64', 'float64', 'float64')
    >>> Layout(((), (10**6,)), ("float64", "float32")).carriers
    ('float64', 'float32')
    """

    shapes: tuple[tuple[int, ...], ...]
    types: tuple[str, ...]

    @property
    def carriers(self) -> tuple[str, ...]:
        """The type in which each array travels: whole numbers as float64, exact up to ``2**53``."""
        own = ["float64" if np.dtype(name).kind in "iub" else name for name in self.types]
        widest = np.result_type(*own).name
        numbers = sum(map(prod, self.shapes))
        return (widest,) * len(own) if numbers * np.dtype(widest).itemsize <= SMALL else tuple(own)

    @property
    def messages(self) -> dict[str, int]:
        """How many numbers of each type travel."""
        found = dict.fromkeys(self.carriers, 0)
        for name, shape in zip(self.carriers, self.shapes, strict=True):
            found[name] += prod(shape)
        return found

    def empty(self) -> list[Numbers]:
        """Return messages to be filled."""
        return [np.empty(count, name) for name, count in self.messages.items()]

    def zeros(self, backend: Backend) -> tuple[Array, ...]:
        """Return arrays of zeros."""
        return tuple(
            backend.asarray(np.zeros(shape, name))
            for shape, name in zip(self.shapes, self.types, strict=True)
        )


def layout_of(backend: Backend, arrays: tuple[Array, ...]) -> Layout:
    """Return shapes and types of arrays of a backend."""
    return Layout(tuple(tuple(a.shape) for a in arrays), tuple(type_name(backend, a) for a in arrays))


def type_name(backend: Backend, array: Array) -> str:
    """Return NumPy's name of an array's type; libraries spell their types in ways of their own."""
    for name in ("float64", "float32", "int64", "complex128", "complex64", "int32"):
        if array.dtype == getattr(backend.xp, name, None):
            return name
    return str(backend.to_numpy(array).dtype)


def packed(backend: Backend, arrays: tuple[Array, ...], layout: Layout) -> list[Array]:
    """Return the messages, where the arrays are."""
    xp, messages = backend.xp, []
    for carrier in layout.messages:
        own = [a for a, name in zip(arrays, layout.carriers, strict=True) if name == carrier]
        flat = [xp.reshape(xp.astype(a, getattr(xp, carrier), copy=False), (-1,)) for a in own]
        messages.append(flat[0] if len(flat) == 1 else xp.concat(flat))
    return messages


def unpacked(backend: Backend, messages: list[Any], layout: Layout) -> tuple[Array, ...]:
    """Return the arrays that messages, of the backend, carry."""
    xp, found = backend.xp, []
    starts, carried = dict.fromkeys(layout.messages, 0), dict(zip(layout.messages, messages, strict=True))
    for shape, name, carrier in zip(layout.shapes, layout.types, layout.carriers, strict=True):
        start = starts[carrier]
        starts[carrier] = end = start + prod(shape)
        part = xp.reshape(carried[carrier][start:end], shape)
        found.append(xp.astype(part, getattr(xp, name), copy=False))
    return tuple(found)
