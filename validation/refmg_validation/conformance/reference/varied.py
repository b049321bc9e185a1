"""Arrays with their derivatives in all directions at once: forward differentiation of plain formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.reference.operators import Cells, correlate, correlate_transposed


@dataclass(frozen=True)
class Varied:
    """An array, and its derivatives along p directions on a last axis.

    Sums and multiples by numbers are those of the formulas; convolutions have a product rule of their own.

    Examples
    --------
    >>> y = constant(np.ones(1), 1) + 0.5 * Varied(np.full(1, 4.0), np.ones((1, 1)))
    >>> y.value, y.rate
    (array([3.]), array([[0.5]]))
    """

    value: Floats
    rate: Floats

    def __add__(self, other: Varied) -> Varied:
        return Varied(self.value + other.value, self.rate + other.rate)

    def __sub__(self, other: Varied) -> Varied:
        return Varied(self.value - other.value, self.rate - other.rate)

    def __rmul__(self, factor: float) -> Varied:
        return Varied(factor * self.value, factor * self.rate)

    def __neg__(self) -> Varied:
        return Varied(-self.value, -self.rate)

    def __getitem__(self, part: slice | int) -> Varied:
        return Varied(self.value[part], self.rate[part])

    def __len__(self) -> int:
        return len(self.value)

    def as_shape(self, *shape: int) -> Varied:
        """Return the same numbers in another shape."""
        return Varied(self.value.reshape(shape), self.rate.reshape(*shape, self.rate.shape[-1]))


def constant(value: Floats, directions: int = 0) -> Varied:
    """Return an array that no direction changes."""
    return Varied(value, np.zeros((*value.shape, directions)))


def independent(*parts: Floats) -> tuple[Varied, ...]:
    """Return arrays whose entries, in a row, are the directions.

    Examples
    --------
    >>> a, b = independent(np.zeros(1), np.zeros(2))
    >>> b.rate
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    rates = np.split(np.eye(sum(part.size for part in parts)), np.cumsum([p.size for p in parts])[:-1])
    return tuple(Varied(part, rate.reshape(*part.shape, -1)) for part, rate in zip(parts, rates, strict=True))


def joined(*parts: Varied) -> Varied:
    """Return arrays one after the other along their first axis."""
    return Varied(np.concatenate([p.value for p in parts]), np.concatenate([p.rate for p in parts]))


def correlated(cells: Cells, s: Varied, y: Varied) -> Varied:
    """Return ``K(s) y`` for taps ``(C_out, C_in, taps)`` and features ``(C_in, N, m)``."""
    taps, features = s.value[..., None], y.value
    rate = correlate(cells, taps[..., None], y.rate)
    rate = rate + correlate(cells, s.rate[..., None, :], features[..., None])
    return Varied(correlate(cells, taps, features), rate)


def correlated_transposed(cells: Cells, s: Varied, z: Varied, count: int) -> Varied:
    """Return ``K(s)^T z`` for features ``(C_out, N, m)``."""
    taps, features = s.value[..., None], z.value
    rate = correlate_transposed(cells, taps[..., None], z.rate, count)
    rate = rate + correlate_transposed(cells, s.rate[..., None, :], features[..., None], count)
    return Varied(correlate_transposed(cells, taps, features, count), rate)


__all__ = ["Varied", "constant", "correlated", "correlated_transposed", "independent", "joined"]
