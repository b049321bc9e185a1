"""The photographs of one division, on every grid, in batches that depend on seed and epoch alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg import get_backend
from refmg.data import Photographs, prefetched, split_numbers
from refmg.data.augmentation import drawn_variation, varied
from refmg.data.photographs import MEAN, STD
from refmg.distributed import SharedExamples
from refmg.resnet.batch_part import division_of_batch
from refmg_backends import Backend, RefmgError
from refmg_validation.imagenet10.presets import ImageNetPreset
from refmg_validation.ranks import share

Batch = tuple[Any, NDArray[np.int64]]
Read = Callable[[Any], NDArray[Any]]
PARTS = ("train", "stopping", "validation", "test")


def parts_of(preset: ImageNetPreset, count: int) -> dict[str, NDArray[np.int64]]:
    """Return the numbers of the images of each part.

    Parameters
    ----------
    preset : ImageNetPreset
        Sizes and seed; see :func:`refmg.data.split_numbers` for what seed 0 is.
    count : int
        Images in all.

    Returns
    -------
    dict of ndarray
        ``"train"``; ``"stopping"``, by which early stopping decides and the network is taken;
        ``"validation"``, reported along the way and seen by no choice; ``"test"``, looked at once.

    Raises
    ------
    RefmgError
        If there are too few images.

    Examples
    --------
    >>> from refmg_validation.imagenet10.presets import named
    >>> {name: len(part) for name, part in parts_of(named("tiny"), 5400).items()}
    {'train': 600, 'stopping': 270, 'validation': 540, 'test': 540}
    """
    sizes = {name: round(getattr(preset, name) * count) for name in PARTS[1:]}
    found = split_numbers(count, sizes["test"], sizes["validation"], preset.seed)
    stopping, train = np.split(found["train"], [sizes["stopping"]])
    if not len(stopping) or len(train) < max(preset.train, preset.batch_size):
        raise RefmgError(
            f"found {count} images, of which {len(train)} are left to train on; expected at least "
            f"{max(preset.train, preset.batch_size)}: add images"
        )
    chosen = train[: preset.train] if preset.train else train
    if len(chosen) < preset.batch_size:
        raise RefmgError(
            f"found {len(chosen)} images to train on in batches of {preset.batch_size}; expected at least "
            "one batch: take smaller batches"
        )
    return {"train": chosen, "stopping": stopping} | {name: found[name] for name in PARTS[2:]}


class LevelImages:
    """Photographs on one grid, as the network wants them; ranks that train together share every batch.

    Parameters
    ----------
    photographs : Photographs
        On the finest grid.
    preset : ImageNetPreset
        Batches, margin, precision and seed.
    size : int
        Cells a side: R of the photographs where it is smaller.
    mapped : ndarray, optional
        All photographs on this grid, as they are stored, which ranks of a machine map once into its memory;
        by default each process holds the parts that it asks for.

    Attributes
    ----------
    reading : dict
        What reading ahead took, which every training on this grid counts as if it were the first.
    """

    def __init__(
        self,
        photographs: Photographs,
        preset: ImageNetPreset,
        size: int,
        mapped: NDArray[Any] | None = None,
    ) -> None:
        self.photographs, self.preset, self.size, self.mapped = photographs, preset, size, mapped
        self.parts = parts_of(preset, len(photographs))
        self._kept: dict[str, NDArray[Any]] = {}
        self.reading: dict[str, float] = {}

    def stored(self, part: str) -> NDArray[Any]:
        """Return the images of a part in memory, examples first: bytes on the finest grid, else [0, 1]."""
        if part not in self._kept:
            self._kept[part] = self._read(self.parts[part])
        return self._kept[part]

    def _read(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        if self.mapped is not None:
            return self.mapped[numbers]
        if self.size == self.photographs.size:
            return self.photographs.pixels[numbers]
        return self.photographs.at(self.size, numbers)

    def read_ahead(self) -> None:
        """Read what an epoch and early stopping look at.

        Else the first training on this grid would wait for it, and later ones find it in memory.
        """
        size = self.preset.batch_size
        for part in ("train", "stopping"):
            read, count = self._reader(part), len(self.parts[part])
            for first in range(0, count, size):
                read(slice(first, first + size))

    def labels(self, part: str) -> NDArray[np.int64]:
        """Return the classes of a part."""
        return self.photographs.labels[self.parts[part]]

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the training batches of an epoch, varied; a last one that is not full is left out.

        Order and variation depend on seed, grid and epoch alone: a resumed run has the same, and so has every
        start on this grid.
        """
        rng = np.random.default_rng([self.preset.seed, self.size, number])
        order = rng.permutation(len(self.parts["train"]))
        size, margin = self.preset.batch_size, round(self.preset.margin * self.size)
        whole = [slice(first, first + size) for first in range(0, len(order) - size + 1, size)]
        # Drawn for all examples of a batch, whichever of them this rank varies.
        drawn = [drawn_variation(size, margin, rng) for _ in whole]
        mirrored, corners = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        stored, labels = self._reader("train"), self.labels("train")[order]

        def read(some: Any) -> NDArray[Any]:
            return varied(stored(order[some]), margin, mirrored[some], corners[some])

        ready = self._ready(read, len(order))
        yield from prefetched(whole, lambda some: (ready(some), labels[some]))

    def plain(self, part: str) -> Iterator[Batch]:
        """Yield the images of a part as they are, in order."""
        labels, size = self.labels(part), self.preset.batch_size
        slices = [slice(first, min(first + size, len(labels))) for first in range(0, len(labels), size)]
        ready = self._ready(self._reader(part), len(labels))
        yield from prefetched(slices, lambda some: (ready(some), labels[some]))

    def unlabelled(self) -> NDArray[Any]:
        """Return some training images as they are, on the host, shape ``(3, n, n, m)``."""
        host = get_backend("numpy")
        # Not of the part in memory: a rank that maps all has no such part, and needs none.
        images = self._read(self.parts["train"][: self.preset.unlabelled])
        return host.to_numpy(normalized(host, images, self.preset.dtype))

    def _reader(self, part: str) -> Read:
        """Return what reads some images of a part, examples first."""
        if self.mapped is not None:
            numbers = self.parts[part]
            return lambda some: self._read(numbers[some])
        stored = self.stored(part)
        return lambda some: stored[some]

    def _ready(self, read: Read, count: int) -> Callable[[slice], Any]:
        """Return what makes a batch of so many images ready: on the device, or this rank's part of it."""
        place, dtype, how = self._backend, self.preset.dtype, share()
        if how is None:
            return lambda some: normalized(place, read(some), dtype)
        shape = (3, self.size, self.size, count)
        shared = SharedExamples(lambda some: normalized(place, read(some), dtype), shape, dtype, how)

        def own(some: slice) -> SharedExamples:
            batch = shared[..., some]
            division = division_of_batch(place, batch.shape[-1], how)
            if not division.idle:
                batch.own(division)  # kept there: this is the thread that is ahead
            return batch

        return own

    @cached_property
    def _backend(self) -> Backend:
        return get_backend()


def normalized(backend: Backend, images: NDArray[Any], dtype: str) -> Any:
    """Return images as a network wants them: less the mean of ImageNet's, over their deviation.

    Bytes travel to the device as bytes; all else is done there.

    Parameters
    ----------
    backend : Backend
    images : ndarray, shape (m, 3, n, n)
        Bytes, or floats in [0, 1], examples first.
    dtype : str

    Returns
    -------
    array, shape (3, n, n, m)

    Examples
    --------
    >>> white = np.full((2, 3, 1, 1), 255, np.uint8)
    >>> normalized(get_backend("numpy"), white, "float64")[:, 0, 0, 0].round(2)
    array([2.25, 2.43, 2.64])
    """
    xp, scale = backend.xp, 255 if images.dtype == np.uint8 else 1
    x = xp.astype(backend.asarray(images), getattr(xp, dtype))
    mean, std = (backend.asarray(scale * np.array(of, dtype)[:, None, None]) for of in (MEAN, STD))
    last = xp.permute_dims((x - mean) / std, (1, 2, 3, 0))
    return xp.reshape(xp.reshape(last, (-1,)), last.shape)  # examples of a pixel lie together
