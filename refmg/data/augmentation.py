"""Varied images for training: mirrored and shifted, as a seeded generator says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends import RefmgError


def flip_and_shift(x: NDArray[Any], margin: int, rng: np.random.Generator) -> NDArray[Any]:
    """Return each image mirrored with probability 1/2 and shifted by up to `margin` cells.

    What a shift brings in is the image reflected at its edge, the outermost cells not repeated.

    Parameters
    ----------
    x : ndarray, shape (m, C, n_1, n_2)
        Images, examples first; of any type, which the result keeps.
    margin : int
        The largest shift along either axis.
    rng : numpy.random.Generator
        Source of randomness: one number an image for the mirrors, then two for the shifts.

    Returns
    -------
    ndarray, shape (m, C, n_1, n_2)

    Raises
    ------
    RefmgError
        If the margin is negative or as large as an image.

    Examples
    --------
    >>> row = np.arange(4).reshape(1, 1, 1, 4).repeat(3, axis=0).repeat(3, axis=2)
    >>> flip_and_shift(row, 1, np.random.default_rng(1))[:, 0, 0]
    array([[1, 2, 3, 2],
           [1, 0, 1, 2],
           [3, 2, 1, 0]])
    """
    _check_margin(x, margin)
    return varied(x, margin, *drawn_variation(len(x), margin, rng))


def drawn_variation(count: int, margin: int, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return which of so many images are mirrored, and the corners of what is left of each."""
    return rng.random(count) < 0.5, rng.integers(0, 2 * margin + 1, (count, 2))


def varied(x: NDArray[Any], margin: int, mirrored: NDArray[Any], corners: NDArray[Any]) -> NDArray[Any]:
    """Return images ``(m, C, n_1, n_2)`` varied as was drawn for them."""
    _check_margin(x, margin)
    size = x.shape[-2:]
    padded = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="reflect")
    result = np.empty_like(x)
    for image, wide, mirror, (a, b) in zip(result, padded, mirrored, corners, strict=True):
        part = wide[:, a : a + size[0], b : b + size[1]]
        image[...] = part[..., ::-1] if mirror else part
    return result


def _check_margin(x: NDArray[Any], margin: int) -> None:
    if not 0 <= margin < min(x.shape[-2:]):
        raise RefmgError(
            f"found shifts of up to {margin} cells for images of {x.shape[-2:]}; expected fewer than those"
        )
