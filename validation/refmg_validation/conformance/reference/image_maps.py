"""Data-adapted maps of stencils: least squares over images, from exact sums and in fractions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product as all_of
from math import fsum, prod, sqrt

import numpy as np

from refmg_validation.conformance.build import Floats, Shape
from refmg_validation.conformance.reference.arithmetic import condition, cosines, product, solve
from refmg_validation.conformance.reference.operators import convolve
from refmg_validation.conformance.reference.transfers import restrict

Offset = tuple[int, ...]
# The second moment E y_0 y_a of images.
Correlation = Callable[[Offset], float]


def _places(width: Shape, factor: int) -> list[Offset]:
    """Return the offsets of taps in fine cells, those of a coarse stencil with its factor."""
    return list(all_of(*(range(-(k // 2) * factor, k // 2 * factor + 1, factor) for k in width)))


def _moments(width: Shape, step: int, other: int, factor: int, c: Correlation) -> Floats:
    """Return the second moments of what taps see of the restricted image: means of `factor` cells an axis.

    ``E (R y)_a (R y)_b`` for the places a of one stencil and b of the other.
    """
    cells = list(all_of(*(range(factor),) * len(width)))
    rows = []
    for a, b in all_of(_places(width, step), _places(width, other)):
        pairs = [
            c(tuple(y + v - x - u for x, y, u, v in zip(a, b, p, q, strict=True)))
            for p, q in all_of(cells, cells)
        ]
        rows.append(fsum(pairs) / len(pairs))
    return np.array(rows).reshape(prod(width), -1)


def _fit(width: Shape, factor: int, down: bool, c: Correlation, keep_sum: bool) -> tuple[Floats, float]:
    """Return the map that predicts best, and the condition number of its normal equations."""
    own, other = (factor, 1) if down else (1, factor)
    A, B = _moments(width, own, own, factor, c), _moments(width, own, other, factor, c)
    n = len(A)
    if not keep_sum:
        return solve(A, B), condition(A)
    # A constraint, with its multiplier; on taps of sum 0 the matrix has one singular value less.
    free = np.eye(n) - 1 / n
    system = np.block([[A, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    return solve(system, np.vstack([B, np.ones((1, n))]))[:n], condition(product(free, A, free), dropped=1)


def power_law_map(width: Shape, exponent: float, factor: int, down: bool) -> tuple[Floats, float]:
    """Return the map over images with power ``|f|^-exponent`` on 32 coarse cells an axis, and its condition.

    Constants have infinite power, so that the sum of the taps is kept.
    """
    n = 32 * factor
    power = _power(n, len(width), exponent)

    @cache
    def correlation(offset: Offset) -> float:
        waves: Floats = np.ones(())
        for a in offset:  # the power is even on every axis: only products of cosines are left
            waves = np.multiply.outer(waves, np.array([cosines(n)[a * k % n] for k in range(n)]))
        return fsum((power * waves).ravel().tolist()) / power.size

    return _fit(width, factor, down, lambda a: correlation(tuple(sorted(map(abs, a)))), keep_sum=True)


def _power(n: int, d: int, exponent: float) -> Floats:
    """Return ``|f|^-exponent`` at all frequencies but 0, by square roots: they are rounded correctly."""
    assert 2 * exponent == int(2 * exponent), exponent
    cycles = np.array([min(k, n - k) for k in range(n)], dtype=np.int64)
    squares = np.sum(np.meshgrid(*(cycles**2,) * d, indexing="ij"), axis=0)

    def power(square: int) -> float:
        return (1 / sqrt(sqrt(square / n**2))) ** int(2 * exponent) if square else 0.0

    one = {int(q): power(int(q)) for q in np.unique(squares)}
    return np.array([one[int(q)] for q in squares.ravel()]).reshape(squares.shape)


def spectrum_map(images: Floats, width: Shape, factor: int, down: bool) -> tuple[Floats, float]:
    """Return the least-squares map over all shifts of all images, and its condition.

    Images of few bits have sums of products without rounding.
    """
    axes = tuple(range(1, images.ndim - 1))

    @cache
    def correlation(offset: Offset) -> float:
        shifted = np.roll(images, tuple(-a for a in offset), axes)
        return fsum((images * shifted).ravel().tolist()) / images.size

    return _fit(width, factor, down, correlation, keep_sum=False)


def calibrated(
    stencil: Floats, fine_features: Floats, coarse_features: Floats, ridge: float, boundary: str
) -> tuple[Floats, float]:
    """Return the stencil of least squares with its ridge, and the condition of the normal equations."""
    factor = fine_features.shape[1] // coarse_features.shape[1]
    goal = restrict(convolve(fine_features, stencil, boundary), "linear", factor)
    units = np.eye(stencil[0].size).reshape(-1, *stencil.shape[1:])
    seen = convolve(coarse_features, units, boundary).reshape(len(units), -1)
    normal = product(seen, seen.T)
    weight = ridge * fsum(np.diag(normal).tolist()) / len(normal)
    normal = normal + weight * np.eye(len(normal))
    flat = stencil.reshape(len(stencil), -1)
    right = product(seen, goal.reshape(len(goal), -1).T) + weight * flat.T
    return solve(normal, right).T.reshape(stencil.shape), condition(normal)
