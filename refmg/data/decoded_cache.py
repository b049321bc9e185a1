"""Decoded pixels in a memory-mapped file, known by the content that they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.atomic import write_atomically, written_atomically
from refmg.data.checked_file import UselessError, numbers_of, read_about
from refmg.data.decoding import decoded
from refmg.data.picture_files import PictureSet
from refmg_backends import RefmgError

FORMAT = "refmg-pixels-2"
SHOWN = 12  # digits of the key in names of files
Tell = Callable[[str], None]


def cached_pixels(
    found: PictureSet, folder: Path, size: int, workers: int | None, tell: Tell
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return the pixels, read or decoded, and what is known of them.

    Parameters
    ----------
    found : PictureSet
        The pictures.
    folder : path
        Gets ``<key>.pixels`` and, once those are whole, ``<key>.json``: a process that is killed leaves
        nothing that another one takes for whole.
    size : int
        Cells a side.
    workers : int, optional
        Processes that decode.
    tell : callable
        Is told what is done.

    Returns
    -------
    ndarray of uint8, shape (m, 3, size, size)
        Memory-mapped, read-only.
    dict
        ``"labels"``, ``"skipped"`` and ``"sha256"`` of pixels and labels.
    """
    key = content_key(found, size)
    place = folder / f"{key[:SHOWN]}.json"
    try:
        about = _read(place, key, size)
    except UselessError as error:
        tell(f"decoding {len(found.pictures)} pictures to {size} x {size} ({error})")
        _decode(found, place, key, size, workers)
        about = _read(place, key, size)
    return _mapped(place, about, size), about


def content_key(found: PictureSet, size: int) -> str:
    """Return a SHA-256 of all that decides the pixels: content of the files, labels, size, decoder.

    A file that cannot be read counts as such.
    """
    from PIL import __version__ as pillow

    digest = sha256(json.dumps([FORMAT, size, pillow, found.classes]).encode())
    for path in found.files:
        digest.update(_content_digest(path))
    digest.update(json.dumps([[picture.label, picture.offset] for picture in found.pictures]).encode())
    return digest.hexdigest()


def _content_digest(path: Path) -> bytes:
    """Return that of a file; one that cannot be read is left to who decodes it, who can name its pictures."""
    try:
        with path.open("rb") as stream:
            return file_digest(stream, "sha256").digest()
    except OSError:
        return b"cannot be read"  # no SHA-256 has this length: once it can be read, the key is another


def _read(place: Path, key: str, size: int) -> dict[str, Any]:
    about = read_about(
        place,
        {"format": FORMAT, "key": key},
        lambda about: len(about["labels"]) * 3 * size * size,
        lambda digest, about: _signed(digest, about["labels"]),
    )
    if not _holds(about):
        raise UselessError(f"{place} is damaged")
    return about


def _holds(about: dict[str, Any]) -> bool:
    """Return whether all that is said of the pixels is signed and has the shape that readers rely on."""
    labels, skipped = about["labels"], about.get("skipped")
    if about.get("signature") != _signature(about) or not isinstance(skipped, list):
        return False
    pairs = all(isinstance(pair, list) and len(pair) == 2 for pair in skipped)
    words = pairs and all(isinstance(word, str) for pair in skipped for word in pair)
    return words and isinstance(labels, list) and all(type(label) is int for label in labels)


def _signature(about: dict[str, Any]) -> str:
    unsigned = {name: value for name, value in about.items() if name != "signature"}
    return sha256(json.dumps(unsigned, sort_keys=True).encode()).hexdigest()


def _signed(pixels: str, labels: list[int]) -> str:
    return sha256(json.dumps([pixels, labels]).encode()).hexdigest()


def _decode(found: PictureSet, place: Path, key: str, size: int, workers: int | None) -> None:
    labels, skipped, digest = list[int](), list[tuple[str, str]](), sha256()
    results = decoded(found.pictures, size, workers)
    with written_atomically(numbers_of(place)) as stream:
        for picture, result in zip(found.pictures, results, strict=True):
            if isinstance(result, str):
                skipped.append((picture.name, result))
                continue
            labels.append(picture.label)
            content = result.tobytes()
            digest.update(content)
            stream.write(content)
    if not found.pictures:
        raise RefmgError(f"found no picture to put into {place.parent}; expected JPEG, PNG, BMP or WebP")
    if not labels:
        raise RefmgError(
            f"none of {len(found.pictures)} pictures can be read, first {': '.join(skipped[0])}; expected "
            "JPEG, PNG, BMP or WebP"
        )
    about = {"format": FORMAT, "key": key, "labels": labels, "skipped": skipped}
    about |= {"sha256": _signed(digest.hexdigest(), labels)}
    write_atomically(place, json.dumps(about | {"signature": _signature(about)}).encode())


def _mapped(place: Path, about: dict[str, Any], size: int) -> NDArray[np.uint8]:
    shape = (len(about["labels"]), 3, size, size)
    return np.memmap(numbers_of(place), np.uint8, "r", shape=shape)
