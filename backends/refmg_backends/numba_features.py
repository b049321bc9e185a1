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
SUMS = 1 << 23  # bytes of all parts
# More go to the reference: sums of classes times features then leave the caches with every block.
MOST_CLASSES = 64


class NumbaFeatures:
    """Features in blocks of some examples.

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
        size = kernels.VECTORS * lanes(self.dtype.itemsize)
        count, groups = max(1, -(-examples // kernels.EXAMPLES)), -(-features // size)
        self.rows = groups * size
        self.blocks = aligned_empty((count, groups, kernels.EXAMPLES, size), self.dtype)
        self.blocks[:, -1:, :, features - (groups - 1) * size :] = 0
        self.blocks[-1, :, examples - (count - 1) * kernels.EXAMPLES :] = 0
        first = 0
        for Y in parts:
            self._check("features", Y, (features, min(Y.shape[1], examples - first)))
            kernels.pack(whole_vectors(Y, self.dtype, 1), self.blocks, first)
            first += Y.shape[1]
        check_shape("all features", (features, first), (features, examples))

    @property
    def parts(self) -> int:
        """How many parts sums over examples have: by the shapes, so that no result depends on threads."""
        wanted = min(MOST_PARTS, 1 << ((len(self.blocks) + BLOCKS - 1) // BLOCKS - 1).bit_length())
        return max(1, min(wanted, SUMS // (self.classes * self.rows * self.dtype.itemsize)))

    def logits(self, W: Real) -> Real:
        """Return ``W^T Y`` of all examples."""
        W = self._weights(W)
        out = aligned_empty((len(W), len(self.blocks) * kernels.EXAMPLES), self.dtype)
        kernels.logits(W, self.blocks, out)
        return out[:, : self.examples]

    def gradient(self, G: Real) -> Real:
        """Return ``Y G^T``."""
        self._check("gradient of the logits", G, (self.classes, self.examples))
        parts = self._parts()
        kernels.gradient(self.blocks, self._filled(G), parts)
        return self._total(parts)

    def product(self, W: Real, mu: Real, curvature: Curvature) -> tuple[Real, Real]:
        """Return ``Y Z^T`` and the sums of Z by class, where ``Z = C (W^T Y + mu)``."""
        shape = self.classes, self.examples
        self._check("biases", mu, shape[:1])
        self._check("diagonal", curvature.diagonal, shape)
        for name, columns in (("left columns", curvature.left), ("right columns", curvature.right)):
            self._check(name, columns, (len(curvature.left), *shape))
        W, mu = self._weights(W), whole_vectors(mu, self.dtype, 1)
        columns = [self._filled(a) for a in (curvature.diagonal, curvature.left, curvature.right)]
        parts = self._parts()
        sums = np.empty((len(parts), self.classes), self.dtype)
        loop: Any = kernels.product
        loop(W, mu, self.blocks, *columns, parts, sums)
        return self._total(parts), sums.sum(axis=0)

    def _weights(self, W: Real) -> Real:
        """Return weights as the kernels want them: one row a class."""
        self._check("weights", W, (self.features, self.classes))
        turned = aligned_empty((self.classes, self.rows), self.dtype)
        kernels.turn(whole_vectors(W, self.dtype, 1), turned)
        return turned

    def _check(self, name: str, array: Real, shape: tuple[int, ...]) -> None:
        check_shape(name, array.shape, shape)
        if array.dtype != self.dtype:
            raise RefmgError(
                f"found {name} of type {array.dtype}; expected {self.dtype}, as the features have"
            )

    def _filled(self, G: Real) -> Real:
        return whole_vectors(G, self.dtype, kernels.EXAMPLES)

    def _parts(self) -> Real:
        return aligned_empty((self.parts, self.classes, self.rows), self.dtype)

    def _total(self, parts: Real) -> Real:
        out = aligned_empty((self.features, self.classes), self.dtype)
        kernels.total(parts, out)
        return out
