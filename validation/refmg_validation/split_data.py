"""Training, validation and test images of a run: whole, or shared out among its ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.data import Images, split_images
from refmg.data.images import scaled_features
from refmg.data.split import shuffled_parts
from refmg.distributed import Share, SharedExamples
from refmg_validation.ranks import share

NAMES = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class SharedImages:
    """Some images of a set, of which every rank reads its own; nothing is copied before.

    Parameters
    ----------
    images : Images
        The whole set, which may be mapped into memory.
    numbers : ndarray of int
        Those that are meant.
    share : Share
        How they are shared out.
    """

    images: Images
    numbers: NDArray[np.intp]
    share: Share

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells of an image."""
        return self.images.shape

    @property
    def labels(self) -> NDArray[Any]:
        """Classes of all of them, on every rank."""
        return self.images.labels[self.numbers]

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max()) + 1

    def features(self, dtype: str = "float64") -> Any:
        """Return the images in refmg's layout as :class:`SharedExamples`, read when a rank needs them."""

        def read(some: Any) -> NDArray[Any]:
            return scaled_features(self.images.images[self.numbers[some]], dtype)

        return SharedExamples(read, (1, *self.shape, len(self)), dtype, self.share)


SplitImages = Images | SharedImages


def divided_images(
    everything: Images, sizes: Sequence[int], test: Images, seed: int
) -> dict[str, SplitImages]:
    """Return training and validation images, divided at random, and test images.

    Raises
    ------
    RefmgError
        If there are too few images.
    """
    how = share()
    if how is None:
        return dict(zip(NAMES, (*split_images(everything, sizes, seed), test), strict=True))
    parts = [SharedImages(everything, part, how) for part in shuffled_parts(len(everything), sizes, seed)]
    return dict(zip(NAMES, (*parts, SharedImages(test, np.arange(len(test)), how)), strict=True))
