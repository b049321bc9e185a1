"""Random disjoint divisions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refmg.data.images import Images
from refmg_backends import RefmgError

CHOICES_SEED = 20260101


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
    return tuple(images.take(part) for part in shuffled_parts(len(images), sizes, seed))


def shuffled_parts(
    count: int, sizes: Sequence[int], seed: int | np.random.Generator
) -> list[NDArray[np.intp]]:
    """Return the numbers of the images in each part, as :func:`split_images` divides them.

    Raises
    ------
    RefmgError
        If a size is not positive or there are too few images.

    Examples
    --------
    >>> [len(part) for part in shuffled_parts(10, (7, 2), seed=0)]
    [7, 2]
    """
    if min(sizes) < 1 or sum(sizes) > count:
        raise RefmgError(
            f"found parts of {tuple(sizes)} images; expected positive sizes that sum to at most {count}"
        )
    order = np.random.default_rng(seed).permutation(count)
    ends = np.cumsum(sizes)
    return np.split(order[: ends[-1]], ends[:-1])


def split_numbers(count: int, test: int, validation: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """Divide the numbers 0 .. count-1 into test, validation and training.

    Seed 0 is for choices: settings are chosen on its validation images, and its test accuracies may have
    been seen. So every other seed tests on images of its own, of which seed 0 used none for either. As far
    as there are enough, no two seeds share a test image. Each seed trains a network of its own, so what one
    seed tests on another may train on.

    Parameters
    ----------
    count, test, validation : int
        Numbers in all, and in two of the parts; the others are for training.
    seed : int
        Which division.

    Returns
    -------
    dict of ndarray
        ``"test"``, ``"validation"`` and ``"train"``.

    Raises
    ------
    RefmgError
        If there are too few.

    Examples
    --------
    >>> {name: len(part) for name, part in split_numbers(10, 2, 3, seed=0).items()}
    {'test': 2, 'validation': 3, 'train': 5}
    """
    if min(test, validation) < 1 or test + validation >= count:
        raise RefmgError(
            f"found {test} images to test and {validation} to validate of {count}; expected some of each, "
            "and some left to train"
        )
    order = np.random.default_rng(CHOICES_SEED).permutation(count)
    chosen, others = order[:test], order[test:]
    if seed > 0:
        chosen, others = _fresh(chosen, others, validation, seed)
    rest = np.random.default_rng([CHOICES_SEED, seed]).permutation(others)
    return {"test": chosen, "validation": rest[:validation], "train": rest[validation:]}


def _fresh(
    seen: NDArray[np.int64], others: NDArray[np.int64], validation: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return test images of a later seed, and all other images; `seen` are those that seed 0 tests on."""
    unseen = np.random.default_rng([CHOICES_SEED, 0]).permutation(others)[validation:]
    if len(unseen) < len(seen):
        raise RefmgError(
            f"found {len(unseen)} images besides the test and validation images of seed 0; expected at least "
            f"the {len(seen)} that seed {seed} tests on: take fewer"
        )
    # The seeds go round: number 1 takes the first ones, number 2 the next.
    turned = np.roll(unseen, -(seed - 1) * len(seen))
    chosen = turned[: len(seen)]
    everything = np.concatenate([seen, others])
    return chosen, everything[~np.isin(everything, chosen)]
