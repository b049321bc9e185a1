"""A change of grid: which is the finer, by which factor, and in how many levels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from refmg.data.pyramid import restrict_images
from refmg.distributed.shared_examples import mapped_examples
from refmg.transfer import Shape
from refmg_backends import RefmgError


@dataclass(frozen=True)
class GridChange:
    """From one grid to another, coarser or finer on every axis where they differ.

    Attributes
    ----------
    coarse, fine : tuple of int
        Cells of the two grids.
    down : bool
        Whether it goes from fine to coarse.

    Examples
    --------
    >>> GridChange.between((28, 28), (7, 7)).factor
    (4, 4)
    """

    coarse: Shape
    fine: Shape
    down: bool

    @classmethod
    def between(cls, old: Shape, new: Shape) -> GridChange:
        """Return the change from `old` to `new`.

        Raises
        ------
        RefmgError
            If neither grid is a multiple of the other, or both are the same.
        """
        fine, coarse = (old, new) if prod(new) < prod(old) else (new, old)
        divides = len(old) == len(new) and all(
            c > 0 and f % c == 0 for f, c in zip(fine, coarse, strict=True)
        )
        if not divides or fine == coarse:
            raise RefmgError(
                f"found a network on a grid of {old} cells to be moved to {new}; expected one grid to be a "
                "multiple of the other on every axis: pad or crop the images"
            )
        return cls(tuple(coarse), tuple(fine), fine == old)

    @property
    def factor(self) -> Shape:
        """Coarsening factor, one an axis."""
        return tuple(f // c for f, c in zip(self.fine, self.coarse, strict=True))

    @property
    def old(self) -> Shape:
        """The grid that one comes from."""
        return self.fine if self.down else self.coarse

    @property
    def new(self) -> Shape:
        """The grid that one goes to."""
        return self.coarse if self.down else self.fine

    def split(self, levels: int) -> list[GridChange]:
        """Return the changes between `levels` + 1 grids, each by the same factor.

        Raises
        ------
        RefmgError
            If a factor is not the power of a whole number.

        Examples
        --------
        >>> [change.new for change in GridChange.between((28, 28), (7, 7)).split(2)]
        [(14, 14), (7, 7)]
        """
        roots = tuple(round(f ** (1 / levels)) for f in self.factor) if levels > 0 else ()
        if levels < 1 or any(r**levels != f for r, f in zip(roots, self.factor, strict=True)):
            raise RefmgError(
                f"found {levels} levels for the factor {self.factor}; expected the factor to be a whole "
                "number to the power of the levels"
            )
        grids = [tuple(c * r**i for c, r in zip(self.coarse, roots, strict=True)) for i in range(levels + 1)]
        path = grids[::-1] if self.down else grids
        return [GridChange.between(a, b) for a, b in pairwise(path)]

    def on_fine(self, images: Any) -> Any:
        """Return images on the fine grid, restricted by averaging where they are finer still.

        Raises
        ------
        RefmgError
            If their grid is no multiple of the fine grid.
        """
        return images_on(images, self.fine)


def images_on(images: Any, shape: Shape) -> Any:
    """Return images ``(C, n_1, .., n_d, m)``, an array or shared examples, on a coarser grid, by averaging.

    Raises
    ------
    RefmgError
        If there are none, or their grid is no multiple of `shape`.

    Examples
    --------
    >>> images_on(np.arange(4.0).reshape(1, 4, 1), (2,)).ravel()
    array([0.5, 2.5])
    """
    cells = np.shape(images)[1:-1]
    fits = len(cells) == len(shape) and all(n % k == 0 for n, k in zip(cells, shape, strict=True))
    if not fits or not np.shape(images)[-1]:
        raise RefmgError(
            f"found images of shape {np.shape(images)}; expected (channels, grid, examples) on the grid of "
            f"{shape} cells or on a multiple of it, at least one example"
        )
    if cells == tuple(shape):
        return images
    factor = tuple(n // k for n, k in zip(cells, shape, strict=True))
    return mapped_examples(images, lambda x: restrict_images(x, 0.0, factor=factor))
