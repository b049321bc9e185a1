"""A folder of pictures as one array, for what needs examples but no labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.distributed import SharedExamples
from refmg_backends import RefmgError
from refmg_validation.ranks import once, share

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


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
    from PIL import Image

    try:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((size, size), Image.Resampling.BOX)
    except (OSError, SyntaxError) as error:
        raise RefmgError(f"cannot read {path} as a picture: {error}; drop or repair it") from error
    return np.moveaxis(np.asarray(small, np.float32) / np.float32(255), -1, 0)
