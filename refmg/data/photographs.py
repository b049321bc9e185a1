"""Labelled photographs, decoded once into a memory-mapped file that is used again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refmg.data.decoded_cache import cached_pixels
from refmg.data.picture_files import find_pictures
from refmg_backends import RefmgError

SIZE = 128
# Of ImageNet's photographs, by channel.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class Photographs:
    """Square colour photographs with labels; read-only.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (m, 3, n, n)
        Memory-mapped.
    labels : ndarray of int, shape (m,)
        Classes, counted from 0.
    classes : tuple of str
        Names of the classes, in the order of the labels.
    skipped : tuple of (str, str)
        Pictures that could not be read, and why.
    sha256 : str
        Of pixels and labels, by which a resumed run knows its data.

    Examples
    --------
    >>> pixels = np.full((1, 3, 4, 4), 255, np.uint8)
    >>> white = Photographs(pixels, np.zeros(1, np.int64), ("white",))
    >>> white.features(2, np.array([0])).shape, float(white.at(2, np.array([0])).max())
    ((3, 2, 2, 1), 1.0)
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> int:
        """Cells a side."""
        return int(self.pixels.shape[-1])

    def at(self, size: int, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some photographs with `size` cells a side, in [0, 1], examples first.

        Coarse ones are R of the fine ones: means over blocks.

        Raises
        ------
        RefmgError
            If `size` does not divide that of the photographs.
        """
        if size < 1 or self.size % size:
            raise RefmgError(
                f"found photographs of {self.size} cells a side, {size} wanted; expected a divisor of that"
            )
        factor = self.size // size
        # Rising numbers: the file is read from its beginning to its end.
        chosen = self.pixels[np.sort(indices)][np.argsort(np.argsort(indices))]
        blocks = chosen.reshape(len(chosen), 3, size, factor, size, factor)
        return blocks.mean((3, 5), dtype=np.float32) / np.float32(255)

    def features(self, size: int, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the same in refmg's layout, shape ``(3, size, size, m)``."""
        return np.ascontiguousarray(np.moveaxis(self.at(size, indices), 0, -1))


def load_photographs(
    data: str | Path | None,
    cache: Path,
    size: int = SIZE,
    *,
    strict: bool = False,
    workers: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Photographs:
    """Load all photographs of a folder, at `size` cells a side.

    Parameters
    ----------
    data : path, optional
        As in :func:`find_pictures`.
    cache : path
        Folder for the decoded pixels. They are used again where the files they come from, the size and
        Pillow's version are the same and nothing is damaged, else decoded anew.
    size : int
        Cells a side: means over blocks of the pictures; one that is not square is squeezed.
    strict : bool
        Fail if a picture cannot be read; else it is left out and named in ``skipped``.
    workers : int, optional
        Processes that decode.
    tell : callable
        Is given a line about what is done, and about each picture that is left out.

    Returns
    -------
    Photographs

    Raises
    ------
    RefmgError
        If there are no pictures, a tar is damaged, a class has no picture that can be read, or one cannot be
        read and `strict` is set.
    """
    if size < 1:
        raise RefmgError(f"found photographs of {size} cells a side; expected 1 or more")
    found = find_pictures(data)
    pixels, about = cached_pixels(found, cache, size, workers, tell)
    skipped = tuple((name, why) for name, why in about["skipped"])
    if skipped and strict:
        name, why = skipped[0]
        raise RefmgError(
            f"{len(skipped)} of {len(found.pictures)} pictures cannot be read, first {name}: {why}; "
            "drop or repair them, or leave out --strict"
        )
    for name, why in skipped:
        tell(f"left out: {name}: {why}")
    labels = np.array(about["labels"], np.int64)
    _check_classes(labels, found.classes)
    return Photographs(pixels, labels, found.classes, skipped, about["sha256"])


def _check_classes(labels: NDArray[np.int64], classes: Sequence[str]) -> None:
    without = [name for number, name in enumerate(classes) if number not in labels]
    if without:
        raise RefmgError(
            f"found no picture that can be read of {', '.join(without)}; expected at least one of each class"
        )
