"""A folder of pictures as one array, for what needs examples but no labels."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.distributed import SharedExamples
from refmg_backends import RefmgError
from refmg_validation.ranks import once, share

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# No other decoder is tried, whatever a file begins with.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
MOST_CELLS = 2**26


def load_pictures(folder: Path, size: int) -> NDArray[Any] | SharedExamples:
    """Return all pictures below a folder, averaged to `size` cells a side.

    Parameters
    ----------
    folder : path
    size : int
        Cells a side; pictures that are not square are squeezed.

    Returns
    -------
    ndarray of float32 or SharedExamples, shape (3, size, size, m)
        In [0, 1], in the order of their paths. Several ranks read some each.

    Raises
    ------
    RefmgError
        If the size is not positive, there is no picture, or one cannot be read.
    """
    paths = once(lambda: sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS))
    if size < 1 or not paths:
        raise RefmgError(
            f"found {len(paths)} pictures ({', '.join(ENDINGS)}) in {folder}, size {size}; expected at least "
            "one, and a positive size"
        )
    how = share()
    if how is None:
        return _pictures(paths, size)
    return SharedExamples(
        lambda some: _pictures(list(np.array(paths, dtype=object)[some]), size),
        (3, size, size, len(paths)),
        np.float32,
        how,
    )


def _pictures(paths: list[Path], size: int) -> NDArray[Any]:
    if not paths:
        return np.zeros((3, size, size, 0), np.float32)
    return np.stack([_picture(path, size) for path in paths], axis=-1)


def _picture(path: Path, size: int) -> NDArray[Any]:
    pixels = decoded_picture(path, size, str(path))
    return np.moveaxis(pixels.astype(np.float32) / np.float32(255), -1, 0)


def decoded_picture(source: Any, size: int, name: str) -> NDArray[np.uint8]:
    """Return a picture averaged to `size` cells a side.

    Parameters
    ----------
    source : path or binary stream
    size : int
        Cells a side.
    name : str
        Of the picture, for messages.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)

    Raises
    ------
    RefmgError
        If it is damaged, of another format than those of :data:`FORMATS`, or larger than any photograph.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures: the bound is ours
            # From memory: a file would be asked for as many bytes as a damaged chunk claims.
            content = BytesIO(source.read_bytes() if isinstance(source, Path) else source.read())
            with Image.open(content, formats=FORMATS) as image:
                _check_cells(name, image.size)
                small = image.convert("RGB").resize((size, size), Image.Resampling.BOX)
    except RefmgError:
        raise
    except Exception as error:  # a decoder of a damaged file may run into anything
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise RefmgError(f"cannot read {name} as a picture: {told}; drop or repair it") from error
    return np.asarray(small)


def _check_cells(name: str, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_CELLS:
        raise RefmgError(
            f"found {name} of {size[0]} x {size[1]} cells; expected at most {MOST_CELLS} in all, "
            "which no photograph has: drop it"
        )
