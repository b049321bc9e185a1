"""Random disjoint divisions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refmg.data.images import Images
from refmg_backends import RefmgError


def split_images(images: Images, sizes: Sequence[int], seed: int | np.random.Generator) -> tuple[Images, ...]:
    """Divide images at random into disjoint parts.

    Parameters
    ----------
    images : Images
        What to divide.
    sizes : sequence of int
        Images in each part, together at most as many as there are.
    seed : int or numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tuple of Images

    Raises
    ------
    RefmgError
        If a size is not positive or there are too few images.

    Examples
    --------
    >>> all_ten = Images(np.zeros((10, 2, 2)), np.arange(10), "ten")
    >>> [len(part) for part in split_images(all_ten, (7, 2), seed=0)]
    [7, 2]
    """
    return tuple(images.take(part) for part in split_numbers(len(images), sizes, seed))


def split_numbers(
    count: int, sizes: Sequence[int], seed: int | np.random.Generator
) -> list[NDArray[np.intp]]:
    """Return the numbers of the images in each part, as :func:`split_images` divides them.

    Raises
    ------
    RefmgError
        If a size is not positive or there are too few images.

    Examples
    --------
    >>> [len(part) for part in split_numbers(10, (7, 2), seed=0)]
    [7, 2]
    """
    if min(sizes) < 1 or sum(sizes) > count:
        raise RefmgError(
            f"found parts of {tuple(sizes)} images; expected positive sizes that sum to at most {count}"
        )
    order = np.random.default_rng(seed).permutation(count)
    ends = np.cumsum(sizes)
    return np.split(order[: ends[-1]], ends[:-1])
