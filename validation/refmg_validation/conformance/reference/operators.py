"""Convolutions, written out tap by tap and cell by cell."""

from __future__ import annotations

from functools import cache
from itertools import product as all_of
from math import prod
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Floats, Shape
from refmg_validation.conformance.reference.arithmetic import product

OUTSIDE = -1
Cells = tuple[tuple[int, ...], ...]


def inside(place: int, n: int, boundary: str) -> int:
    """Return the cell that is read at a place on or beside n cells; -1 for none.

    ``"mirror"`` does not repeat the cells at the edge: PyTorch's and NumPy's ``"reflect"``, for who looks
    for mistakes.

    Examples
    --------
    >>> [inside(place, 3, "periodic") for place in (-1, 0, 3, 7)]
    [2, 0, 0, 1]
    >>> [inside(place, 3, "reflect") for place in (-1, 0, 3, 7)]
    [0, 0, 2, 1]
    >>> [inside(place, 3, "zero") for place in (-1, 0, 3)]
    [-1, 0, -1]
    >>> [inside(place, 3, "mirror") for place in (-1, 0, 3, 5)]
    [1, 0, 1, 1]
    """
    if boundary == "zero":
        return place if 0 <= place < n else OUTSIDE
    if boundary == "periodic":
        return place % n
    period = 2 * n if boundary == "reflect" else max(2 * n - 2, 1)  # the grid and its mirror image
    place %= period
    return place if place < n else period - place - (boundary == "reflect")


def per_axis(value: Any, d: int) -> Shape:
    """Return one whole number an axis."""
    return tuple(int(v) for v in np.broadcast_to(np.asarray(value), (d,)))


@cache
def read_cells(width: Shape, shape: Shape, boundary: str, stride: Shape) -> Cells:
    """Return the input cell that each tap reads for each output cell, all in C order.

    Output cell o is centred at input cell ``o * stride``; tap j has the offset ``j - k // 2``.

    Examples
    --------
    >>> read_cells((3,), (4,), "zero", (2,))
    ((-1, 1), (0, 2), (1, 3))
    """
    outputs = list(all_of(*(range(-(-n // t)) for n, t in zip(shape, stride, strict=True))))
    found = []
    for tap in all_of(*(range(k) for k in width)):
        places = ([o * t + j - k // 2 for o, t, j, k in zip(cell, stride, tap, width, strict=True)]
                  for cell in outputs)  # fmt: skip
        found.append(tuple(_flat(place, shape, boundary) for place in places))
    return tuple(found)


def _flat(place: list[int], shape: Shape, boundary: str) -> int:
    cells = [inside(x, n, boundary) for x, n in zip(place, shape, strict=True)]
    return OUTSIDE if OUTSIDE in cells else int(np.ravel_multi_index(cells, shape))


def correlate(cells: Cells, s: Floats, y: Floats) -> Floats:
    """Return ``sum_j s_j y_{i+j}`` of taps ``(C_out, C_in, taps, ..)`` and features ``(C_in, N, ..)``.

    Further axes are broadcast: examples, directions.
    """
    total: Any = 0.0
    for t, row in enumerate(cells):
        read = np.array(row)
        kept = (read != OUTSIDE).reshape(-1, *(1,) * (y.ndim - 2))
        for i in range(s.shape[1]):
            total = total + s[:, i, t, None] * np.where(kept, y[i, read], 0.0)[None]
    return np.asarray(total)


def correlate_transposed(cells: Cells, s: Floats, z: Floats, count: int) -> Floats:
    """Return the adjoint: every output cell gives back to the `count` cells what it has read of them."""
    total: Any = 0.0
    for t, row in enumerate(cells):
        for o in range(s.shape[0]):
            part = s[o, :, t, None] * z[o][None]
            back = np.zeros((part.shape[0], count, *part.shape[2:]))
            for place, cell in enumerate(row):
                if cell != OUTSIDE:
                    back[:, cell] += part[:, place]
            total = total + back
    return np.asarray(total)


def _taps(stencil: Floats) -> Floats:
    """Return a stencil as ``(C_out, C_in, taps, 1)``, to be broadcast over examples."""
    return stencil.reshape(*stencil.shape[:2], -1, 1)


def convolve(features: Floats, stencil: Floats, boundary: str = "periodic", stride: Any = 1) -> Floats:
    """Return ``K(s) y``.

    Examples
    --------
    >>> convolve(np.arange(4.0).reshape(1, 4, 1), np.array([[[0.0, 0.0, 1.0]]])).ravel()
    array([1., 2., 3., 0.])
    """
    shape, m = features.shape[1:-1], features.shape[-1]
    steps = per_axis(stride, len(shape))
    out = tuple(-(-n // t) for n, t in zip(shape, steps, strict=True))
    cells = read_cells(stencil.shape[2:], shape, boundary, steps)
    found = correlate(cells, _taps(stencil), features.reshape(len(features), -1, m))
    return found.reshape(len(stencil), *out, m)


def convolve_transpose(
    features: Floats, stencil: Floats, shape: Shape, boundary: str = "periodic", stride: Any = 1
) -> Floats:
    """Return ``K(s)^T z``."""
    cells = read_cells(stencil.shape[2:], shape, boundary, per_axis(stride, len(shape)))
    flat = features.reshape(len(features), -1, features.shape[-1])
    found = correlate_transposed(cells, _taps(stencil), flat, prod(shape))
    return found.reshape(stencil.shape[1], *shape, features.shape[-1])


def stencil_gradient(features: Floats, cotangent: Floats, width: Shape, boundary: str, stride: Any) -> Floats:
    """Return the gradient of ``<K(s) y, z>``: tap by tap, z times what the tap reads."""
    shape, m = features.shape[1:-1], features.shape[-1]
    y, z = features.reshape(len(features), -1, m), cotangent.reshape(len(cotangent), -1)
    columns = []
    for row in read_cells(width, shape, boundary, per_axis(stride, len(shape))):
        kept = (np.array(row) != OUTSIDE)[:, None]
        seen = [np.where(kept, y[i, np.array(row)], 0.0).ravel() for i in range(len(y))]
        columns.append(product(z, np.stack(seen, axis=1)))
    return np.stack(columns, axis=-1).reshape(len(z), len(y), *width)


def convolution_matrix(stencil: Floats, shape: Shape, boundary: str) -> Floats:
    """Return ``K(s)`` itself, dense."""
    (c_out, c_in), N = stencil.shape[:2], prod(shape)
    units = np.eye(c_in * N).reshape(c_in, *shape, -1)
    return convolve(units, stencil, boundary).reshape(c_out * N, -1)
