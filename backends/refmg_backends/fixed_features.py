"""Features that many classifiers are tried on: kept in the order that their products want."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from refmg_backends.backend import Array
from refmg_backends.curvature import Curvature

if TYPE_CHECKING:
    from refmg_backends.array_backend import ArrayBackend

# Numbers in one part: few calls, and what the first product reads, the second finds in a last-level cache.
PART = 1 << 22


class ArrayFeatures:
    """The reference: products with the classifier, one part of the examples after the other.

    Parameters
    ----------
    backend : ArrayBackend
        Whose ``logits`` and ``weight_gradient`` are used.
    parts : iterable of array, each of shape (features, m_i)
        Features of some examples. Small ones are joined.
    """

    def __init__(self, backend: ArrayBackend, parts: Iterable[Array]) -> None:
        self.backend, self.xp = backend, backend.xp
        self.parts = list(_joined(backend, parts))
        ends = [0]
        for Y in self.parts:
            ends.append(ends[-1] + Y.shape[1])
        self.examples = ends[-1]
        self._slices = [slice(*pair) for pair in pairwise(ends)]

    def logits(self, W: Array) -> Array:
        """Return ``W^T Y`` of all examples, shape ``(classes, m)``."""
        found = self.backend.map(lambda Y: self.backend.logits(W, Y), self.parts)
        return self.xp.concat(list(found), axis=1)

    def gradient(self, G: Array) -> Array:
        """Return ``Y G^T``, shape ``(features, classes)``, for `G` of shape ``(classes, m)``."""

        def term(pair: tuple[Array, slice]) -> Array:
            return self.backend.weight_gradient(pair[0], G[:, pair[1]])

        return _sum(self.backend.map(term, zip(self.parts, self._slices, strict=True)))

    def product(self, W: Array, mu: Array, curvature: Curvature) -> tuple[Array, Array]:
        """Return ``Y Z^T`` and the sums of Z by class, where ``Z = C (W^T Y + mu)``.

        Both products of one part follow each other: the second finds its features in a cache.
        """

        def term(pair: tuple[Array, slice]) -> tuple[Array, Array]:
            Y, examples = pair
            Z = curvature.of(examples).product(self.backend.logits(W, Y) + mu[:, None])
            return self.backend.weight_gradient(Y, Z), self.xp.sum(Z, axis=1)

        found = list(self.backend.map(term, zip(self.parts, self._slices, strict=True)))
        return _sum(weights for weights, _ in found), _sum(sums for _, sums in found)


def _joined(backend: ArrayBackend, parts: Iterable[Array]) -> Iterator[Array]:
    waiting: list[Array] = []
    for Y in parts:
        waiting.append(Y)
        if Y.shape[0] * sum(part.shape[1] for part in waiting) >= PART:
            yield _one(backend, waiting)
            waiting = []
    if waiting:
        yield _one(backend, waiting)


def _one(backend: ArrayBackend, parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else backend.xp.concat(parts, axis=1)


def _sum(parts: Iterable[Any]) -> Array:
    total = None
    for part in parts:
        total = part if total is None else total + part
    return total
