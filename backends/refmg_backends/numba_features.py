"""Fixed features of the ``numba`` backend: packed once, read once a product."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends.curvature import Curvature
from refmg_backends.errors import RefmgError, check_shape
from refmg_backends.numba_kernels import fixed_features as kernels
from refmg_backends.numba_kernels.memory import aligned_empty, whole_vectors
from refmg_backends.numba_kernels.vectors import lanes

Real = NDArray[Any]
# Blocks that a part of a sum over examples has about, and the most parts.
BLOCKS, MOST_PARTS = 28, 32


class NumbaFeatures:
    """Features in blocks of one vector of examples.

    Parameters
    ----------
    parts : iterable of ndarray, each of shape (features, m_i)
        In one of the types float32 and float64.
    sizes : tuple of int
        How many features, examples and classes there are in all.
    dtype : dtype
        Their type.

    Raises
    ------
    RefmgError
        If the parts, or later factors, are not of these shapes or of another type.
    """

    def __init__(self, parts: Iterable[Real], sizes: tuple[int, int, int], dtype: Any) -> None:
        self.features, self.examples, self.classes = features, examples, _ = sizes
        self.dtype = np.dtype(dtype)
        self.lanes = lanes(self.dtype.itemsize)
        count, rows = -(-examples // self.lanes), -(-features // kernels.ROWS) * kernels.ROWS
        self.blocks = aligned_empty((count, rows, self.lanes), self.dtype)
        self.blocks[:, features:] = 0
        self.blocks[-1, :, examples - (count - 1) * self.lanes :] = 0
        first = 0
        for Y in parts:
            self._check("features", Y, (features, min(Y.shape[1], examples - first)))
            kernels.pack(whole_vectors(Y, self.dtype, 1), self.blocks, first)
            first += Y.shape[1]
        check_shape("all features", (features, first), (features, examples))

    @property
    def parts(self) -> int:
        """How many parts sums over examples have: by the shapes, so that no result depends on threads."""
        return min(MOST_PARTS, 1 << ((len(self.blocks) + BLOCKS - 1) // BLOCKS - 1).bit_length())

    def logits(self, W: Real) -> Real:
        """Return ``W^T Y`` of all examples."""
        W = self._weights(W)
        out = aligned_empty((W.shape[1], len(self.blocks) * self.lanes), self.dtype)
        kernels.logits(W, self.blocks, out)
        return out[:, : self.examples]

    def gradient(self, G: Real) -> Real:
        """Return ``Y G^T``."""
        self._check("gradient of the logits", G, (self.classes, self.examples))
        parts, vectors = self._parts(len(G))
        kernels.gradient(self.blocks, self._filled(G), parts, vectors)
        return self._total(parts, len(G))

    def product(self, W: Real, mu: Real, curvature: Curvature) -> tuple[Real, Real]:
        """Return ``Y Z^T`` and the sums of Z by class, where ``Z = C (W^T Y + mu)``."""
        shape = self.classes, self.examples
        self._check("biases", mu, shape[:1])
        self._check("diagonal", curvature.diagonal, shape)
        for name, columns in (("left columns", curvature.left), ("right columns", curvature.right)):
            self._check(name, columns, (len(curvature.left), *shape))
        W, mu = self._weights(W), whole_vectors(mu, self.dtype, 1)
        columns = [self._filled(a) for a in (curvature.diagonal, curvature.left, curvature.right)]
        parts, vectors = self._parts(W.shape[1])
        sums = np.empty((len(parts), W.shape[1]), self.dtype)
        loop: Any = kernels.product
        loop(W, mu, self.blocks, *columns, parts, sums, vectors)
        return self._total(parts, W.shape[1]), sums.sum(axis=0)

    def _weights(self, W: Real) -> Real:
        self._check("weights", W, (self.features, self.classes))
        return whole_vectors(W, self.dtype, 1)

    def _check(self, name: str, array: Real, shape: tuple[int, ...]) -> None:
        check_shape(name, array.shape, shape)
        if array.dtype != self.dtype:
            raise RefmgError(
                f"found {name} of type {array.dtype}; expected {self.dtype}, as the features have"
            )

    def _filled(self, G: Real) -> Real:
        return whole_vectors(G, self.dtype, self.lanes)

    def _parts(self, classes: int) -> tuple[Real, int]:
        vectors = vectors_of(classes, self.lanes)
        return aligned_empty((self.parts, self.blocks.shape[1], vectors * self.lanes), self.dtype), vectors

    def _total(self, parts: Real, classes: int) -> Real:
        out = aligned_empty((self.features, classes), self.dtype)
        kernels.total(parts, out)
        return out


def vectors_of(classes: int, width: int) -> int:
    """Return how many vectors the classes fill: 1, 2, 4, or more than there are loops for.

    Examples
    --------
    >>> vectors_of(10, 16), vectors_of(10, 8), vectors_of(20, 8)
    (1, 2, 4)
    """
    return 1 << (-(-classes // width) - 1).bit_length()


def has_loops(classes: int, dtype: Any) -> bool:
    """Return whether there are loops for so many classes; more go to the reference."""
    return vectors_of(classes, lanes(np.dtype(dtype).itemsize)) <= kernels.MOST_VECTORS
