"""Pictures decoded with Pillow, in as many processes as there are processors."""

from __future__ import annotations

import multiprocessing
import signal
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.data.picture_files import MOST_BYTES, PictureFile
from refmg_backends import RefmgError
from refmg_backends.processors import processors

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
# Four times what a camera of today makes. More is refused before a pixel is decoded.
MOST_PIXELS = 2**26
# A process must be worth its start; that many results at most wait for whoever takes them.
PER_PROCESS, AHEAD, CHUNK = 128, 1024, 16

Decoded = NDArray[np.uint8] | str


def decode(content: bytes, size: int) -> NDArray[np.uint8]:
    """Return a picture in colour, averaged to `size` cells a side; one that is not square is squeezed.

    Parameters
    ----------
    content : bytes
        JPEG, PNG, BMP or WebP.
    size : int
        Cells a side.

    Returns
    -------
    ndarray of uint8, shape (3, size, size)
        Grey of 16 bits is scaled to 8.

    Raises
    ------
    RefmgError
        If it is no picture, a damaged one, one of more than 2^26 pixels, or of numbers without a range.

    Examples
    --------
    >>> decode(b"no picture", 2)
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: not a JPEG, PNG, BMP or WEBP that can be read
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags and palettes: the pixels are what counts
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(content), formats=FORMATS) as image:
                _check(image.size)
                small = _in_colour(image).resize((size, size), Image.Resampling.BOX)
    except (RefmgError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise RefmgError(f"not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} that can be read") from error
    except Exception as error:  # what a decoder raises on damaged bytes, it has not promised to anybody
        raise RefmgError(f"damaged: {error}") from error
    return np.moveaxis(np.asarray(small), -1, 0)


def _in_colour(image: Any) -> Any:
    """Return a picture in RGB; Pillow by itself clips grey of more than 8 bits to white."""
    from PIL import Image

    # Of the formats that are read, PNG alone has such modes: 16 bits, which older Pillows call "I".
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise RefmgError(
            f"found pixels of mode {image.mode!r}, whose range is not defined; expected 8 or 16 bits"
        )
    return image.convert("RGB")


def _check(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise RefmgError(f"{size[0]} x {size[1]} pixels; expected at most {MOST_PIXELS}")


def decoded(pictures: Sequence[PictureFile], size: int, workers: int | None = None) -> Iterator[Decoded]:
    """Yield every picture's pixels, or why there are none, in order.

    Parameters
    ----------
    pictures : sequence of PictureFile
        What to decode.
    size : int
        Cells a side.
    workers : int, optional
        Processes; one a processor by default, fewer for few pictures, and 1 decodes in this process. The
        result does not depend on it.

    Yields
    ------
    ndarray of uint8, shape (3, size, size), or str

    Raises
    ------
    RefmgError
        If a process was killed, as for want of memory.
    """
    count = workers or max(1, min(processors(), len(pictures) // PER_PROCESS))
    one = partial(_one, size=size)
    if count == 1:
        yield from map(one, pictures)
        return
    # Started anew: a copy of a process that has threads may wait for ever. Ctrl-C is this process' to answer.
    fresh = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(count, fresh, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
            try:
                for first in range(0, len(pictures), AHEAD):
                    yield from pool.map(one, pictures[first : first + AHEAD], chunksize=CHUNK)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        raise RefmgError(
            f"a process that decodes pictures was ended: {error}; try again with fewer workers"
        ) from error


def _one(picture: PictureFile, size: int) -> Any:
    try:
        if picture.length > MOST_BYTES:
            return f"{picture.length} bytes; expected at most {MOST_BYTES}"
        return decode(picture.read(), size)
    except (RefmgError, OSError) as error:
        return str(error)
