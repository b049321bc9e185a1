"""IDX files, the format of MNIST and Fashion-MNIST: plain or gzip, every length checked."""

from __future__ import annotations

import gzip
import zlib
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from refmg.data.images import Images
from refmg_backends import RefmgError, one_of

SPLITS = {"train": "train", "test": "t10k"}
GZIP_MAGIC = b"\x1f\x8b"
# The largest set, EMNIST by class, has half of it: a damaged header must not ask for all memory.
MOST_BYTES = 2**30
# Digits pack to a fifth: what is small and claims more than this is no set of images.
MOST_UNPACKED, MOST_RATIO = 2**24, 100


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Parameters
    ----------
    path : path
        The file; gzip is recognised by its content, not its name. A plain file is mapped into memory: what
        is not looked at is not read.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    RefmgError
        If the file is missing, of another format, shorter or longer than its header says, or unpacks to more
        than any set of images would.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp(), "labels")
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    place = Path(path)
    try:
        with _open(place) as stream:
            return _mapped(stream, place) if isinstance(stream, BufferedReader) else _read(stream, place)
    except OSError as error:
        raise RefmgError(f"cannot read {place}: {error.strerror or error}; expected an IDX file") from error
    except (EOFError, zlib.error) as error:
        raise RefmgError(f"{place}: found a damaged gzip file ({error}); fetch it again") from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        zipped = stream.read(2) == GZIP_MAGIC
    return gzip.open(path) if zipped else path.open("rb")  # type: ignore[return-value]


def _mapped(stream: BufferedReader, path: Path) -> NDArray[np.uint8]:
    shape = _header(stream, path)
    start, size = stream.tell(), prod(shape)
    _check_length(path, path.stat().st_size - start, shape)
    # An empty file cannot be mapped.
    return np.asarray(np.memmap(path, np.uint8, "r", start, shape) if size else np.zeros(shape, np.uint8))


def _read(stream: IO[bytes], path: Path) -> NDArray[np.uint8]:
    shape = _header(stream, path)
    size, there = prod(shape), path.stat().st_size
    # Before memory is asked for.
    most = max(MOST_UNPACKED, MOST_RATIO * there)
    if size > most:
        raise RefmgError(
            f"{path}: found a header that claims {size} bytes in a file of {there}; expected at most {most} "
            "there: fetch the file again"
        )
    content = stream.read(size + 1)
    _check_length(path, len(content), shape)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _header(stream: IO[bytes], path: Path) -> tuple[int, ...]:
    """Return the shape that the first bytes tell."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not 1 <= magic[3] <= 4:
        raise RefmgError(
            f"{path}: found the first bytes {magic.hex(' ') or '(none)'}; expected 00 00 08 and the number "
            "of axes, as an IDX file of bytes has"
        )
    header = stream.read(4 * magic[3])
    shape = tuple(int(n) for n in np.frombuffer(header[: len(header) // 4 * 4], ">u4"))
    # An axis without entries makes the product zero, whatever the others claim.
    if len(shape) < magic[3] or prod(n or 1 for n in shape) > MOST_BYTES:
        raise RefmgError(
            f"{path}: found a header of {magic[3]} axes with sizes {shape}; fetch the file again"
        )
    return shape


def _check_length(path: Path, length: int, shape: tuple[int, ...]) -> None:
    size = prod(shape)
    if length != size:
        found = f"only {max(length, 0)}" if length < size else "more"
        raise RefmgError(
            f"{path}: found {found} bytes after the header; expected {size} for {shape}; fetch it again"
        )


def load_idx_folder(folder: str | Path, split: str = "train") -> Images:
    """Load images and labels of MNIST, Fashion-MNIST or another set with the same file names.

    Parameters
    ----------
    folder : path
        Holds ``train-images-idx3-ubyte`` and the others, each plain or with ``.gz``.
    split : {"train", "test"}
        ``"test"`` reads the ``t10k`` files.

    Returns
    -------
    Images

    Raises
    ------
    RefmgError
        If a file is missing or damaged, or images and labels do not belong together.
    """
    if split not in SPLITS:
        raise RefmgError(one_of("split", split, SPLITS))
    place = Path(folder)
    images = read_idx(find_idx(place, f"{SPLITS[split]}-images", 3))
    labels = read_idx(find_idx(place, f"{SPLITS[split]}-labels", 1))
    if images.ndim != 3 or labels.ndim != 1:
        raise RefmgError(
            f"{place}: found images with {images.ndim} axes and labels with {labels.ndim}; expected 3 and 1: "
            "are the files exchanged?"
        )
    return Images(images, labels, f"{place.name} {split}")


def find_idx(folder: Path, stem: str, axes: int) -> Path:
    """Return the path of an IDX file, whichever way it is spelt.

    Raises
    ------
    RefmgError
        If there is none.
    """
    names = [f"{stem}{mark}idx{axes}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise RefmgError(
        f"{folder}: found no {names[0]} (nor {names[1]}); expected the four IDX files of MNIST there"
    )
