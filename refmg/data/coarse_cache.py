"""Photographs on a coarser grid in a memory-mapped file, known by the photographs that they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.atomic import write_atomically, written_atomically
from refmg.data.checked_file import UselessError, numbers_of, read_about
from refmg.data.photographs import Photographs

FORMAT = "refmg-means-1"
SHOWN = 12  # digits of the photographs' SHA-256 in names of files
KIND = np.dtype("<f4")
PIECE = 256  # photographs whose means are in memory at a time


def mapped_means(
    photographs: Photographs, folder: Path, size: int, tell: Callable[[str], None] = lambda line: None
) -> NDArray[np.float32]:
    """Return all photographs with `size` cells a side, as :meth:`Photographs.at` has them, from a file.

    Processes that call this one after the other have them in memory once.

    Parameters
    ----------
    photographs : Photographs
    folder : path
        Gets ``<sha256>-<size>.pixels`` and, once those are whole, ``.json``.
    size : int
        Cells a side.
    tell : callable
        Is told what is done.

    Returns
    -------
    ndarray of float32, shape (m, 3, size, size)
        Memory-mapped, read-only.

    Raises
    ------
    RefmgError
        If `size` does not divide that of the photographs, or the file cannot be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> pixels = np.full((1, 3, 4, 4), 255, np.uint8)
    >>> white = Photographs(pixels, np.zeros(1, np.int64), ("white",), sha256="0a1b")
    >>> mapped_means(white, Path(mkdtemp()), 2)[0, 0]
    memmap([[1., 1.],
            [1., 1.]], dtype=float32)
    """
    shape = (len(photographs), 3, size, size)
    place = folder / f"{photographs.sha256[:SHOWN]}-{size}.json"
    known = {"format": FORMAT, "key": photographs.sha256, "size": size}

    def read() -> dict[str, Any]:
        length = KIND.itemsize * int(np.prod(shape))
        return read_about(place, known, lambda about: length, lambda digest, about: digest)

    try:
        read()
    except UselessError as error:
        tell(f"taking means of {shape[0]} photographs, {size} x {size} ({error})")
        _write(photographs, place, known)
        read()
    return np.memmap(numbers_of(place), KIND, "r", shape=shape)


def _write(photographs: Photographs, place: Path, known: dict[str, Any]) -> None:
    digest, numbers = sha256(), np.arange(len(photographs))
    with written_atomically(numbers_of(place)) as stream:
        for first in range(0, len(numbers), PIECE):
            content = photographs.at(known["size"], numbers[first : first + PIECE]).astype(KIND).tobytes()
            digest.update(content)
            stream.write(content)
    write_atomically(place, json.dumps(known | {"sha256": digest.hexdigest()}).encode())
