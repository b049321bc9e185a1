"""Pooling with exact adjoints: the mean over all cells, and the maximum over a window."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, reduce
from types import ModuleType

import numpy as np

from refmg_backends import Backend, Geometry
from refmg_backends.backend import Array
from refmg_backends.geometry import OUTSIDE


def average_pool(xp: ModuleType, Y: Array) -> Array:
    """Return the mean over all cells of features ``(C, cells, m)``; shape ``(C, m)``.

    Examples
    --------
    >>> average_pool(np, np.array([[[1.0], [3.0]]]))
    array([[2.]])
    """
    return xp.mean(Y, axis=1)


def average_pool_adjoint(xp: ModuleType, P: Array, cells: int) -> Array:
    """Return the cotangent ``(C, cells, m)`` of the features for `P` of shape ``(C, m)``.

    Examples
    --------
    >>> average_pool_adjoint(np, np.array([[1.0]]), 2).ravel()
    array([0.5, 0.5])
    """
    shape = (P.shape[0], cells, P.shape[1])
    return xp.broadcast_to((P / cells)[:, None, :], shape)


Tables = tuple[list[Array], list[tuple[int, Array]]]


def _tables(backend: Backend, geometry: Geometry) -> Tables:
    """Return the cells that each tap reads and, for the adjoint, the outputs that read each cell."""
    return _uploaded(backend, geometry)  # type: ignore[arg-type]


@lru_cache(maxsize=128)  # moved to the device once, not once a step
def _uploaded(backend: Backend, geometry: Geometry) -> Tables:

    def upload(row: np.ndarray, outside: int) -> Array:
        return backend.xp.asarray(np.where(row == OUTSIDE, outside, row).tolist())

    forward = [upload(row, geometry.cells) for row in geometry.table]
    backward = [(tap, upload(row, geometry.out_cells)) for tap, row in geometry.transpose_table]
    return forward, backward


def _with_cell(xp: ModuleType, X: Array, value: float) -> Array:
    return xp.concat([X, xp.full((X.shape[0], 1, X.shape[2]), value, dtype=X.dtype)], axis=1)


def max_pool(backend: Backend, Y: Array, geometry: Geometry) -> Array:
    """Return the largest number in the window around each output cell.

    Parameters
    ----------
    backend : Backend
    Y : array, shape (C, cells, m)
    geometry : Geometry
        Window, boundary and stride; outside of ``"zero"`` lies nothing (minus infinity), not 0.

    Returns
    -------
    array, shape (C, out_cells, m)

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> window = Geometry((4,), (3,), "zero", (2,))
    >>> max_pool(get_backend("numpy"), np.array([-1.0, -2.0, 5.0, 4.0]).reshape(1, 4, 1), window).ravel()
    array([-1.,  5.])
    """
    return reduce(backend.xp.maximum, _windows(backend, Y, geometry))


def max_pool_choice(backend: Backend, Y: Array, geometry: Geometry) -> tuple[Array, Array]:
    """Return the maxima and, for the adjoint, which tap has each: the first of equal ones.

    Parameters
    ----------
    backend, Y, geometry
        As for :func:`max_pool`.

    Returns
    -------
    array, shape (C, out_cells, m)
    array of int8, shape (C, out_cells, m)

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> window = Geometry((4,), (3,), "zero", (2,))
    >>> Y = np.array([-1.0, -2.0, 5.0, 5.0]).reshape(1, 4, 1)
    >>> max_pool_choice(get_backend("numpy"), Y, window)[1].ravel()
    array([1, 1], dtype=int8)
    """
    xp, windows = backend.xp, _windows(backend, Y, geometry)
    best = next(windows)
    choice = xp.zeros(best.shape, dtype=xp.int8)
    for tap, X in enumerate(windows, start=1):
        choice = xp.where(best < X, xp.full_like(choice, tap), choice)
        best = xp.maximum(best, X)
    return best, choice


def _windows(backend: Backend, Y: Array, geometry: Geometry) -> Iterator[Array]:
    """Yield what each tap reads."""
    padded = _with_cell(backend.xp, Y, -float("inf"))
    for row in _tables(backend, geometry)[0]:
        yield backend.xp.take(padded, row, axis=1)


def max_pool_adjoint(backend: Backend, choice: Array, P: Array, geometry: Geometry) -> Array:
    """Return the cotangent of the features: each number of `P` goes to the tap that had the maximum.

    Parameters
    ----------
    backend : Backend
    choice : array of int8, shape (C, out_cells, m)
        From :func:`max_pool_choice`.
    P : array, shape (C, out_cells, m)
        Cotangent of the maxima.
    geometry : Geometry

    Returns
    -------
    array, shape (C, cells, m)
    """
    xp, zeros = backend.xp, backend.xp.zeros_like(P)

    def part(tap: int, row: Array) -> Array:
        chosen = _with_cell(xp, xp.where(choice == tap, P, zeros), 0.0)
        return xp.take(chosen, row, axis=1)

    _, back = _tables(backend, geometry)
    return reduce(lambda total, pair: total + part(*pair), back[1:], part(*back[0]))


def gathered(backend: Backend, Y: Array, geometry: Geometry) -> Array:
    """Return what each tap of a convolution reads in each channel, 0 outside.

    Parameters
    ----------
    backend : Backend
    Y : array, shape (C, cells, m)
    geometry : Geometry

    Returns
    -------
    array, shape (C * taps, out_cells, m)
        Channels after another, ordered as a stencil ``(C_out, C, k_1, k_2)`` is.

    Examples
    --------
    >>> from refmg_backends import get_backend
    >>> Y = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    >>> gathered(get_backend("numpy"), Y, Geometry((3,), (3,), "zero"))[..., 0]
    array([[0., 1., 2.],
           [1., 2., 3.],
           [2., 3., 0.]])
    """
    xp, padded = backend.xp, _with_cell(backend.xp, Y, 0.0)
    rows, _ = _tables(backend, geometry)
    taps = xp.stack([xp.take(padded, row, axis=1) for row in rows], axis=1)
    return xp.reshape(taps, (Y.shape[0] * geometry.taps, geometry.out_cells, Y.shape[-1]))
