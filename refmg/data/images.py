"""Labelled images: the one form that every loader returns."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refmg_backends import RefmgError


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one channel with their labels; read-only.

    Parameters
    ----------
    images : array_like, shape (m, n_1, .., n_d)
        Bytes (0 to 255) or finite floats.
    labels : array_like of int, shape (m,)
        Classes, counted from 0.
    name : str
        Where they come from, for messages and records.

    Raises
    ------
    RefmgError
        If the numbers of images and labels differ, there are none, a value is NaN or infinite, or a
        label is not a whole number of at least 0.

    Examples
    --------
    >>> images = Images(np.full((2, 4, 4), 255, np.uint8), [0, 1], "two white squares")
    >>> images.features("float64").shape, float(images.features("float64").max())
    ((1, 4, 4, 2), 1.0)
    """

    images: NDArray[Any]
    labels: NDArray[Any]
    name: str

    def __post_init__(self) -> None:
        """Take read-only views and refuse what cannot be learned from."""
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        _check(images, labels, self.name)
        labels = labels.astype(np.int64)
        for name, array in (("images", images.view()), ("labels", labels)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<{len(self)} images of {' x '.join(map(str, self.shape))} cells, {self.name}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells of an image, ``(n_1, .., n_d)``."""
        return tuple(self.images.shape[1:])

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max()) + 1

    def features(self, dtype: str = "float64") -> NDArray[Any]:
        """Return the images in refmg's layout, shape ``(1, n_1, .., n_d, m)``, bytes scaled to [0, 1]."""
        return scaled_features(self.images, dtype)

    def take(self, indices: ArrayLike) -> Images:
        """Return the images of these numbers, in this order."""
        chosen = np.asarray(indices)
        return Images(self.images[chosen], self.labels[chosen], self.name)

    def sha256(self) -> str:
        """Return a fingerprint of images and labels, by which a resumed run knows its data."""
        digest = sha256(str((self.images.shape, self.images.dtype.str)).encode())
        digest.update(np.ascontiguousarray(self.images).tobytes())
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        return digest.hexdigest()


def scaled_features(images: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return images ``(m, n_1, .., n_d)`` in refmg's layout, see :meth:`Images.features`.

    Examples
    --------
    >>> scaled_features(np.full((2, 4, 4), 255, np.uint8), "float32").shape
    (1, 4, 4, 2)
    """
    result = np.ascontiguousarray(np.moveaxis(images, 0, -1)[None].astype(dtype))
    return result / np.asarray(255, dtype) if images.dtype == np.uint8 else result


def _check(images: NDArray[Any], labels: NDArray[Any], name: str) -> None:
    if images.ndim < 2 or labels.ndim != 1:
        raise RefmgError(
            f"{name}: found images of shape {images.shape} and labels of shape {labels.shape}; expected "
            "(m, n_1, .., n_d) and (m,)"
        )
    if len(images) != len(labels) or not len(labels):
        raise RefmgError(
            f"{name}: found {len(images)} images and {len(labels)} labels; expected as many labels as "
            "images, at least one: take both files from the same set"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise RefmgError(f"{name}: found labels {labels[:5]}; expected whole numbers counted from 0")
    if images.dtype.kind not in "fiu":
        raise RefmgError(f"{name}: found images of type {images.dtype}; expected bytes or floats")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(images))[0])
        raise RefmgError(
            f"{name}: found {images[where]} in image {where[0]} at cell {where[1:]}; expected finite "
            "values: drop or repair the image"
        )
