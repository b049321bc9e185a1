"""R and P, and the maps of stencils, from the taps of each pair in fractions."""

from __future__ import annotations

from fractions import Fraction
from functools import cache, reduce
from itertools import product as all_of
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Floats, Shape
from refmg_validation.conformance.reference.arithmetic import Rational, floats, product, solve
from refmg_validation.conformance.reference.operators import OUTSIDE, convolution_matrix, inside, per_axis


def taps_of(transfer: str, factor: int) -> tuple[dict[int, Fraction], dict[int, Fraction]]:
    """Return the taps of R and of P on one axis: ``(R y)_I = sum_a r_a y_{f I + a}``, ``P^T`` alike.

    Examples
    --------
    >>> for name in ("linear", "average", "full-weighting"):
    ...     print(*({a: str(w) for a, w in taps.items()} for taps in taps_of(name, 2)))
    {0: '1/2', 1: '1/2'} {-1: '1/4', 0: '3/4', 1: '3/4', 2: '1/4'}
    {0: '1/2', 1: '1/2'} {0: '1', 1: '1'}
    {-1: '1/4', 0: '1/2', 1: '1/4'} {-1: '1/2', 0: '1', 1: '1/2'}
    """
    f = factor
    if transfer == "full-weighting":
        hat = {a: 1 - Fraction(abs(a), f) for a in range(1 - f, f)}
        return {a: w / f for a, w in hat.items()}, hat
    mean = {a: Fraction(1, f) for a in range(f)}
    if transfer == "average":
        return mean, dict.fromkeys(range(f), Fraction(1))
    # Distance of the centre of fine cell a from that of the coarse cell, in coarse cells.
    distance = {a: abs(Fraction(2 * a + 1 - f, 2 * f)) for a in range(-f, 2 * f)}
    return mean, {a: 1 - x for a, x in distance.items() if x < 1}


def _on_axis(taps: dict[int, Fraction], n: int, factor: int, boundary: str) -> Rational:
    """Return R for its taps on an axis of n coarse cells, as fractions."""
    matrix = np.full((n, factor * n), Fraction(0), dtype=object)
    for coarse, (a, weight) in all_of(range(n), taps.items()):
        cell = inside(factor * coarse + a, factor * n, boundary)
        if cell != OUTSIDE:
            matrix[coarse, cell] += weight
    return matrix


def _from_axis(taps: dict[int, Fraction], n: int, factor: int, boundary: str) -> Rational:
    """Return P for its taps; coarse cells beside the grid have the values that the boundary gives them."""
    matrix = np.full((factor * n, n), Fraction(0), dtype=object)
    for coarse, (a, weight) in all_of(range(-2, n + 2), taps.items()):
        fine, cell = factor * coarse + a, inside(coarse, n, boundary)
        if 0 <= fine < factor * n and cell != OUTSIDE:
            matrix[fine, cell] += weight
    return matrix


def restriction(coarse: Shape, transfer: str, factor: Any, boundary: str = "periodic") -> Rational:
    """Return R onto a coarse grid, the Kronecker product of its axes.

    Examples
    --------
    >>> print(restriction((2,), "linear", 2).astype(float))
    [[0.5 0.5 0.  0. ]
     [0.  0.  0.5 0.5]]
    """
    axes = zip(coarse, per_axis(factor, len(coarse)), strict=True)
    return reduce(np.kron, (_on_axis(taps_of(transfer, f)[0], n, f, boundary) for n, f in axes))


def prolongation(coarse: Shape, transfer: str, factor: Any, boundary: str = "periodic") -> Rational:
    """Return P from a coarse grid."""
    axes = zip(coarse, per_axis(factor, len(coarse)), strict=True)
    return reduce(np.kron, (_from_axis(taps_of(transfer, f)[1], n, f, boundary) for n, f in axes))


def restrict(features: Floats, transfer: str, factor: Any, boundary: str = "periodic") -> Floats:
    """Return ``R y``."""
    factors = per_axis(factor, features.ndim - 2)
    coarse = tuple(n // f for n, f in zip(features.shape[1:-1], factors, strict=True))
    return _on_channels(restriction(coarse, transfer, factors, boundary), features, coarse)


def prolong(features: Floats, transfer: str, factor: Any, boundary: str = "periodic") -> Floats:
    """Return ``P y``."""
    coarse, factors = features.shape[1:-1], per_axis(factor, features.ndim - 2)
    fine = tuple(n * f for n, f in zip(coarse, factors, strict=True))
    return _on_channels(prolongation(coarse, transfer, factors, boundary), features, fine)


def _on_channels(A: Rational, features: Floats, shape: Shape) -> Floats:
    m = features.shape[-1]
    parts = [product(floats(A), channel.reshape(-1, m)) for channel in features]
    return np.stack(parts).reshape(-1, *shape, m)


def coarse_operator(stencil: Floats, shape: Shape, transfer: str, factor: Any, boundary: str) -> Floats:
    """Return ``R K(s) P``."""
    (c_out, c_in), factors = stencil.shape[:2], per_axis(factor, len(shape))
    coarse = tuple(n // f for n, f in zip(shape, factors, strict=True))
    R, P = (floats(make(coarse, transfer, factors, boundary)) for make in (restriction, prolongation))
    K = convolution_matrix(stencil, shape, boundary)
    by_channel: Any = np.kron(np.eye(c_out), R), np.kron(np.eye(c_in), P)
    return product(by_channel[0], K, by_channel[1])


@cache
def _axis_map(width: int, transfer: str, factor: int) -> tuple[tuple[Fraction, ...], ...]:
    """Return the map of taps on one axis, read off one row of ``R K(e) P``."""
    n = width + 2  # wide enough that no neighbour is met from both sides
    R, P = restriction((n,), transfer, factor), prolongation((n,), transfer, factor)
    row, middle = R[n // 2], range(n // 2 - width // 2, n // 2 + width // 2 + 1)
    columns = []
    for tap in range(width):
        shifted = np.roll(row, tap - width // 2)  # the row of R times K(e): it reads the tap's neighbour
        columns.append([sum(shifted * P[:, cell]) for cell in middle])
    return tuple(zip(*columns, strict=True))


def stencil_map(width: Shape, transfer: str, factor: Any) -> Rational:
    """Return the matrix from fine to coarse taps, in fractions; axes multiply, as those of R, K and P do.

    Examples
    --------
    >>> print(stencil_map((3,), "linear", 2).astype(float))
    [[0.5   0.125 0.   ]
     [0.5   0.75  0.5  ]
     [0.    0.125 0.5  ]]
    """
    axes = zip(width, per_axis(factor, len(width)), strict=True)
    return reduce(np.kron, (np.array(_axis_map(k, transfer, f), dtype=object) for k, f in axes))


def on_taps(matrix: Any, stencil: Floats) -> Floats:
    """Return the stencil with a matrix applied to the taps of each pair of channels."""
    taps = stencil.reshape(-1, matrix.shape[1])
    return product(floats(matrix), taps.T).T.reshape(stencil.shape)


def restrict_stencil(stencil: Floats, transfer: str, factor: Any) -> Floats:
    """Return the taps in one row of ``R K(s) P``."""
    return on_taps(stencil_map(stencil.shape[2:], transfer, factor), stencil)


def prolong_stencil(stencil: Floats, transfer: str, factor: Any) -> Floats:
    """Return the solution of the system of the taps (paper, equation 9), in fractions."""
    matrix = stencil_map(stencil.shape[2:], transfer, factor)
    return solve(matrix, stencil.reshape(-1, len(matrix)).T).T.reshape(stencil.shape)
