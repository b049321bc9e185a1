"""Labelled images on every grid of a multilevel run."""

from __future__ import annotations

import numpy as np

from refmg.data.pyramid import restrict_images
from refmg.distributed.shared_examples import mapped_examples
from refmg.transfer import Shape, Transfer
from refmg_backends import RefmgError


class ImagePyramid:
    """Labelled images on the finest grid, restricted to coarser ones when they are asked for.

    Parameters
    ----------
    x : ndarray or SharedExamples, shape (C_in, n_1, .., n_d, m)
        Images on the host.
    labels : ndarray of int, shape (m,)
        Their classes.
    sigma : float
        Standard deviation of the Gaussian before each restriction, in cells of the grid that it is on.
    transfer, boundary
        Name the restriction R, as in :func:`refmg.restriction_matrix`.

    Raises
    ------
    RefmgError
        If there are not as many labels as images.

    Notes
    -----
    Line 1 of the paper's Algorithm 1: the images are restricted level by level, by factor 2 as long as it
    divides, then by what is left. Grids that were asked for are kept.

    Examples
    --------
    >>> pyramid = ImagePyramid(np.arange(8.0).reshape(1, 8, 1), np.array([0]))
    >>> pyramid.on((2,)).ravel()
    array([1.5, 5.5])
    """

    def __init__(
        self,
        x: np.ndarray,
        labels: np.ndarray,
        sigma: float = 0.0,
        transfer: Transfer = "linear",
        boundary: str = "periodic",
    ) -> None:
        if np.shape(x)[-1:] != np.shape(labels)[:1]:
            raise RefmgError(
                f"found images of shape {np.shape(x)} and labels of shape {np.shape(labels)}; expected as "
                "many of both: images are (channels, grid, examples), examples last"
            )
        self.labels, self.sigma, self.transfer, self.boundary = labels, sigma, transfer, boundary
        self.finest: Shape = tuple(x.shape[1:-1])
        self._found = {self.finest: x}

    def check(self, shape: Shape) -> None:
        """Refuse a grid that is no coarsening of the finest one.

        Raises
        ------
        RefmgError
            If the finest grid is no multiple of it on some axis.
        """
        same = len(shape) == len(self.finest)
        if not same or any(n < 1 or f % n for f, n in zip(self.finest, shape, strict=True)):
            raise RefmgError(
                f"found a level of {shape} cells for images of {self.finest}; expected grids that divide the "
                "images' on every axis: pad or crop the images"
            )

    def on(self, shape: Shape) -> np.ndarray:
        """Return the images on this grid, shape ``(C_in, *shape, m)``.

        Raises
        ------
        RefmgError
            If it does not divide the finest grid.
        """
        self.check(shape)
        if shape not in self._found:
            finer, factor = self._step_before(shape)
            self._found[shape] = mapped_examples(
                self.on(finer),
                lambda x: restrict_images(x, self.sigma, self.transfer, factor, self.boundary),
            )
        return self._found[shape]

    def _step_before(self, shape: Shape) -> tuple[Shape, Shape]:
        """Return the next finer grid on the way down to `shape`, and the factor from it."""
        grid = self.finest
        while True:
            factor = tuple(_factor(f // n) for f, n in zip(grid, shape, strict=True))
            below = tuple(g // f for g, f in zip(grid, factor, strict=True))
            if below == shape:
                return grid, factor
            grid = below


def _factor(whole: int) -> int:
    return 2 if whole % 2 == 0 else whole
