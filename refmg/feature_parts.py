"""Final features, kept in the parts of which sums over all examples are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from refmg.batches import Batch
from refmg.distributed.division import Division
from refmg.distributed.share import Share, Terms
from refmg_backends import Backend, Curvature, FixedFeatures
from refmg_backends.backend import Array


class FeatureParts:
    """Features of one process: all together; of a rank: its own, in fixed blocks where sums ask for it.

    Parameters
    ----------
    backend : Backend
        Keeps them.
    batches : iterable of Batch
        Final features and labels; gone through once.
    sizes : (int, int)
        How many examples, of all ranks, and classes there are.
    shared : (Share, Division), optional
        Where the batches are those of this rank.
    """

    def __init__(
        self,
        backend: Backend,
        batches: Iterable[Batch],
        sizes: tuple[int, int],
        shared: tuple[Share, Division] | None = None,
    ) -> None:
        self.backend, self.xp, self.shared = backend, backend.xp, shared
        self._targets = list[Array]()
        self.features, self.slices = list[FixedFeatures](), list[slice]()
        if shared is None:
            self._keep(self._matrices(batches), *sizes)
        else:
            self._keep_own(iter(batches), *sizes, *shared)
        # A rank without an example has targets all the same: none.
        none = self.xp.zeros((sizes[1], 0)) if not self._targets else None
        self.targets = self.xp.concat(self._targets, axis=1) if none is None else none

    def _matrices(self, batches: Iterable[Batch]) -> Iterator[Array]:
        for batch in batches:
            self._targets.append(batch.targets)
            yield self.xp.reshape(batch.x, (-1, batch.size))

    def _keep(self, matrices: Iterable[Array], examples: int, classes: int) -> None:
        start = self.slices[-1].stop if self.slices else 0
        self.slices.append(slice(start, start + examples))
        self.features.append(self.backend.fixed_features(matrices, examples, classes))

    def _keep_own(
        self, batches: Iterator[Batch], examples: int, classes: int, share: Share, division: Division
    ) -> None:
        part = share.part(division)
        left, matrices = part.stop - part.start, self._matrices(batches)
        while left:
            size = min(left, share.batch(division, left))
            self._keep(_first(matrices, size), size, classes)
            left -= size

    def logits(self, W: Array) -> Array:
        """Return ``W^T Y`` of these examples, shape ``(classes, m)``."""
        found = [features.logits(W) for features in self.features]
        return found[0] if len(found) == 1 else self.xp.concat([W[:0, :].T, *found], axis=1)

    def gradient(self, G: Array) -> Terms:
        """Return ``Y G^T`` and the sums of G by class, over all examples."""
        return self._over_all(lambda Y, part: (Y.gradient(part(G)), self.xp.sum(part(G), axis=1)))

    def product(self, W: Array, mu: Array, curvature: Curvature) -> Terms:
        """Return ``Y Z^T`` and the sums of Z by class, where ``Z = C (W^T Y + mu)``, over all examples."""
        return self._over_all(lambda Y, part: Y.product(W, mu, part(curvature)))

    def total(self, term: Callable[..., Terms], *arrays: Array) -> Terms:
        """Return the sums over all examples of what `term` makes of arrays with examples last."""
        return self._over_all(lambda Y, part: term(*(part(array) for array in arrays)))

    def _over_all(self, term: Callable[[FixedFeatures, Callable[[Any], Any]], Terms]) -> Terms:
        if self.shared is None:
            return term(self.features[0], lambda array: array)
        share, division = self.shared
        terms = (term(Y, _cut(part)) for Y, part in zip(self.features, self.slices, strict=True))
        return share.total(self.backend, terms, division)


def _cut(part: slice) -> Callable[[Any], Any]:
    """Return the function that takes some examples of an array, or of Hessians."""

    def cut(array: Any) -> Any:
        return array.of(part) if isinstance(array, Curvature) else array[..., part]

    return cut


def _first(matrices: Iterator[Array], count: int) -> Iterator[Array]:
    """Yield matrices until there are so many columns; no matrix has columns beyond."""
    while count:
        found = next(matrices)
        count -= found.shape[1]
        yield found
