"""Photographs from tars of JPEG files, decoded once into a memory-mapped file."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refmg.atomic import write_atomically
from refmg_backends import RefmgError, check_environment
from refmg_validation.damage import MISFITS, told_as_damage
from refmg_validation.pictures import decoded_picture

SIZE = 128
FOLDER = "imagenet10"


@dataclass(frozen=True)
class Photographs:
    """Square colour photographs with labels.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (m, 3, n, n)
        Memory-mapped.
    labels : ndarray of int, shape (m,)
    classes : tuple of str
        Names of the classes, in the order of the labels.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def at(self, size: int, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some photographs with `size` cells a side, averaged over blocks, in [0, 1]."""
        factor = self.pixels.shape[-1] // size
        chosen = self.pixels[np.sort(indices)][np.argsort(np.argsort(indices))]
        blocks = chosen.reshape(len(chosen), 3, size, factor, size, factor)
        return blocks.mean((3, 5), dtype=np.float32) / np.float32(255)


def load_photographs(data: Path | None, cache: Path, size: int = SIZE) -> Photographs:
    """Load the photographs of all tars ``<class>-<part>.tar``, at `size` cells a side.

    Parameters
    ----------
    data : path, optional
        A folder with the tars, or one that has them in a subfolder ``imagenet10``; ``REFMG_DATA`` by
        default.
    cache : path
        Folder for the decoded pixels, which are used again.

    Raises
    ------
    RefmgError
        If there are no tars or one is damaged.
    """
    tars = find_tars(data)
    known = sha256(str([(tar.name, tar.stat().st_size) for tar in tars]).encode()).hexdigest()[:12]
    pixels, labels = cache / f"{FOLDER}-{size}-{known}.npy", cache / f"{FOLDER}-labels-{known}.npy"
    if not (pixels.exists() and labels.exists()):
        _decode(tars, size, pixels, labels)
    with told_as_damage(f"{pixels} or {labels} is damaged", "delete both to decode again"):
        found = np.load(pixels, mmap_mode="r", allow_pickle=False), np.load(labels, allow_pickle=False)
        if len(found[0]) != len(found[1]):
            raise ValueError(f"{len(found[0])} photographs and {len(found[1])} labels")
        return Photographs(*found, _classes(tars))


def find_tars(data: Path | None) -> list[Path]:
    """Return the tars, sorted by name.

    Raises
    ------
    RefmgError
        If no folder was named or it has none.
    """
    named = data or check_environment().get("REFMG_DATA")
    if not named:
        raise RefmgError("found no folder of photographs; expected --data or REFMG_DATA to name one")
    for folder in (Path(named), Path(named) / FOLDER):
        if tars := sorted(folder.glob("*-*.tar")):
            return tars
    raise RefmgError(f"found no <class>-<part>.tar in {named} or its subfolder {FOLDER}; expected some")


def _classes(tars: list[Path]) -> tuple[str, ...]:
    return tuple(sorted({tar.name.rpartition("-")[0] for tar in tars}))


def _decode(tars: list[Path], size: int, pixels: Path, labels: Path) -> None:
    classes = _classes(tars)
    found = [
        (photograph, classes.index(tar.name.rpartition("-")[0]))
        for tar in tars
        for photograph in _photographs(tar, size)
    ]
    if not found:
        raise RefmgError(
            f"found no photograph in {', '.join(tar.name for tar in tars)}; expected tars of JPEG files"
        )
    for path, array in (
        (pixels, np.stack([photograph for photograph, _ in found])),
        (labels, np.array([label for _, label in found], dtype=np.int64)),
    ):
        buffer = BytesIO()
        np.save(buffer, array)
        write_atomically(path, buffer.getvalue())


def _photographs(tar: Path, size: int) -> Iterator[NDArray[np.uint8]]:
    try:
        # Not packed: whatever a packed one grows to would have to be passed over.
        with tarfile.open(tar, "r:") as archive:
            for member in archive:
                if member.isfile():
                    # Read in place: no name in a tar says where anything is written.
                    stream = archive.extractfile(member)
                    yield np.moveaxis(decoded_picture(stream, size, f"{member.name!a} of {tar}"), -1, 0)
    except (tarfile.TarError, OSError, *MISFITS) as error:
        if isinstance(error, RefmgError):
            raise
        raise RefmgError(f"cannot read {tar}: {error}; expected a tar of JPEG files") from error


def split(count: int, test: int, validation: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """Divide the numbers 0 .. count-1 into test, validation and training.

    Ridges, exponents and the like were chosen with seed 0: on its validation images, and after its test
    accuracies had been seen. So every other seed tests on images of its own, of which seed 0 used none
    for either. As far as there are enough, no two seeds share a test image. Each seed trains a network of its
    own, so what one seed tests on another may train on.

    Raises
    ------
    RefmgError
        If there are too few images for that.

    Examples
    --------
    >>> {name: len(part) for name, part in split(10, 2, 3, seed=0).items()}
    {'test': 2, 'validation': 3, 'train': 5}
    """
    order = np.random.default_rng(TEST_SEED).permutation(count)
    chosen, others = order[:test], order[test:]
    if seed > 0:
        chosen, others = _fresh(chosen, others, validation, seed)
    rest = np.random.default_rng([TEST_SEED, seed]).permutation(others)
    return {"test": chosen, "validation": rest[:validation], "train": rest[validation:]}


def _fresh(
    seen: NDArray[np.int64], others: NDArray[np.int64], validation: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return test images of a later seed, and all other images; `seen` are those that seed 0 tests on."""
    unseen = np.random.default_rng([TEST_SEED, 0]).permutation(others)[validation:]
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


TEST_SEED = 20260101
