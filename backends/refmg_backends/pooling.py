"""The maximum over a window and its adjoint, for any array-API namespace."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, reduce
from types import ModuleType
from typing import Any

import numpy as np

from refmg_backends.errors import check_shape
from refmg_backends.geometry import OUTSIDE, Geometry

Array = Any
Tables = tuple[list[Array], list[tuple[int, Array]]]


@lru_cache(maxsize=128)  # moved to the device once, not once a step
def uploaded_tables(backend: Any, geometry: Geometry) -> Tables:
    """Return the cells that each tap reads and, for the adjoint, the outputs that read each cell.

    What lies outside is the cell after the last, which :func:`with_cell` appends.
    """

    def upload(row: np.ndarray, outside: int) -> Array:
        return backend.xp.asarray(np.where(row == OUTSIDE, outside, row).tolist())

    forward = [upload(row, geometry.cells) for row in geometry.table]
    backward = [(tap, upload(row, geometry.out_cells)) for tap, row in geometry.transpose_table]
    return forward, backward


def with_cell(xp: ModuleType, X: Array, value: float) -> Array:
    """Return features ``(C, cells, m)`` with one more cell, in which all numbers are `value`."""
    return xp.concat([X, xp.full((X.shape[0], 1, X.shape[2]), value, dtype=X.dtype)], axis=1)


def max_pool(backend: Any, Y: Array, geometry: Geometry, choice: bool) -> tuple[Array, Array | None]:
    """Return the maxima over windows and, on request, which tap has each: the first of equal ones.

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> window, Y = Geometry((4,), (3,), "zero", (2,)), np.array([-1.0, -2.0, 5.0, 5.0])
    >>> [found.ravel().tolist() for found in max_pool(get_backend("numpy"), Y.reshape(1, 4, 1), window, True)]
    [[-1.0, 5.0], [1, 1]]
    """
    check_shape("features", Y.shape, (Y.shape[0], geometry.cells, Y.shape[-1]))
    xp, windows = backend.xp, _windows(backend, Y, geometry)
    if not choice:
        return reduce(xp.maximum, windows), None
    best = next(windows)
    taps = xp.zeros(best.shape, dtype=xp.int8)
    for tap, X in enumerate(windows, start=1):
        taps = xp.where(best < X, xp.full_like(taps, tap), taps)
        best = xp.maximum(best, X)
    return best, taps


def _windows(backend: Any, Y: Array, geometry: Geometry) -> Iterator[Array]:
    """Yield what each tap reads; outside lies nothing."""
    padded = with_cell(backend.xp, Y, -float("inf"))
    for row in uploaded_tables(backend, geometry)[0]:
        yield backend.xp.take(padded, row, axis=1)


def check_choice(choice: Array, P: Array, geometry: Geometry) -> None:
    """Refuse a choice, or a cotangent `P`, that is not one number an output.

    Raises
    ------
    RefmgError
        If a shape differs.
    """
    check_shape("cotangent", P.shape, (P.shape[0], geometry.out_cells, P.shape[-1]))
    check_shape("choice", choice.shape, P.shape)


def max_pool_adjoint(backend: Any, choice: Array, P: Array, geometry: Geometry) -> Array:
    """Return the cotangent of the features: each number of `P` goes to the tap that had the maximum."""
    check_choice(choice, P, geometry)
    xp, zeros = backend.xp, backend.xp.zeros_like(P)

    def part(tap: int, row: Array) -> Array:
        chosen = with_cell(xp, xp.where(choice == tap, P, zeros), 0.0)
        return xp.take(chosen, row, axis=1)

    _, back = uploaded_tables(backend, geometry)
    return reduce(lambda total, pair: total + part(*pair), back[1:], part(*back[0]))
