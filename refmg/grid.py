"""Cell-centred grids: cells, spacing and volume."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from refmg.transfer import Shape, coarse_shape
from refmg_backends import RefmgError


@dataclass(frozen=True)
class Grid:
    """A regular cell-centred grid.

    Parameters
    ----------
    shape : tuple of int
        Cells ``(n_1, .., n_d)``.
    spacing : tuple of float, optional
        Physical cell widths ``h_i``; by default ``1 / n_i``, so that the image fills the unit cube at
        every resolution.

    Raises
    ------
    RefmgError
        If a size is not positive or the lengths differ.

    Examples
    --------
    >>> grid = Grid((28, 14))
    >>> grid.cell_volume * 28 * 14
    1.0
    >>> grid.coarsen(2)
    Grid(shape=(14, 7), spacing=(0.07142857142857142, 0.14285714285714285))
    """

    shape: Shape
    spacing: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Fill the default spacing and refuse what is not a grid."""
        if not self.shape or any(n < 1 for n in self.shape):
            raise RefmgError(f"found a grid of {self.shape} cells; expected one positive number per axis")
        if not self.spacing:
            object.__setattr__(self, "spacing", tuple(1.0 / n for n in self.shape))
        if len(self.spacing) != len(self.shape) or any(h <= 0 for h in self.spacing):
            raise RefmgError(
                f"found spacing {self.spacing}; expected a positive one per axis of {self.shape}"
            )

    @property
    def ndim(self) -> int:
        """Number of axes ``d``."""
        return len(self.shape)

    @property
    def cells(self) -> int:
        """Number of cells ``N``."""
        return prod(self.shape)

    @property
    def cell_volume(self) -> float:
        """``h^d``, the product of the spacings."""
        return prod(self.spacing)

    def coarsen(self, factor: int | Shape = 2) -> Grid:
        """Return the grid with `factor` times wider cells.

        Raises
        ------
        RefmgError
            If the factor does not divide the number of cells.
        """
        shape = coarse_shape(self.shape, factor)
        sizes = zip(self.spacing, self.shape, shape, strict=True)
        return Grid(shape, tuple(h * (fine // coarse) for h, fine, coarse in sizes))
