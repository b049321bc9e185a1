"""What an objective finds at one point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from refmg_backends import Backend
from refmg_backends.backend import Array

# From a vector to a symmetric matrix times it.
Product = Callable[[Array], Array]


@dataclass(frozen=True)
class Evaluation:
    """The parts of an objective.

    Attributes
    ----------
    loss : float
        Mean over the examples.
    regularizer : float
        Sum of the regularisers that depend on the free parameters.
    accuracy : float
        Fraction of examples whose largest logit is their class.
    """

    loss: float
    regularizer: float
    accuracy: float

    @property
    def objective(self) -> float:
        """Loss and regulariser together."""
        return self.loss + self.regularizer


def correct(xp: ModuleType, logits: Array, targets: Array) -> Array:
    """Return how many examples have their largest logit at their class, as a whole number of shape ``()``."""
    hits = xp.argmax(logits, axis=0) == xp.argmax(targets, axis=0)
    return xp.sum(xp.astype(hits, xp.int64))


class Totals:
    """Loss and hits summed over batches where they were found, and read together.

    A loss keeps the rounding of its own type within a batch; batches are added in float64, one after the
    other, as Python would add the same numbers. Hits are whole numbers.

    Parameters
    ----------
    backend : Backend
        Where the numbers are.

    Examples
    --------
    >>> import numpy as np
    >>> from refmg_backends import get_backend
    >>> totals = Totals(get_backend("numpy"))
    >>> for loss, hits in [(0.5, 3), (1.5, 2)]:
    ...     totals.add(np.asarray(loss, "float32"), np.asarray(hits))
    >>> totals.evaluation(8, np.asarray(0.25))
    Evaluation(loss=0.25, regularizer=0.25, accuracy=0.625)
    """

    def __init__(self, backend: Backend) -> None:
        self.backend, self.xp = backend, backend.xp
        self.loss = self.xp.zeros((), dtype=self.xp.float64)
        self.hits = self.xp.zeros((), dtype=self.xp.int64)

    def add(self, loss: Array, hits: Array) -> None:
        """Add those of one batch, both of shape ``()``; nothing is waited for."""
        self.loss, self.hits = self.loss + self.xp.astype(loss, self.xp.float64), self.hits + hits

    def evaluation(self, examples: int, penalty: Array) -> Evaluation:
        """Return means over `examples`, and the regulariser: one transfer to the host."""
        loss, hits, regularizer = numbers(self.backend, self.loss, self.hits, penalty)
        return Evaluation(loss / examples, regularizer, hits / examples)


def numbers(backend: Backend, *values: Array) -> list[float]:
    """Return arrays of shape ``()`` as Python's numbers, by one transfer.

    Whole numbers up to ``2**53`` stay exact.
    """
    xp = backend.xp
    together = xp.stack([xp.astype(value, xp.float64) for value in values])
    return [float(value) for value in backend.to_numpy(together)]
