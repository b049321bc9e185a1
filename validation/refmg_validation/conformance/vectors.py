"""Arrays as ``.npy`` files: the same bytes for the same numbers, and readers that trust nothing."""

from __future__ import annotations

import hashlib
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends import RefmgError


def npy_bytes(array: NDArray[Any]) -> bytes:
    r"""Return an array as the content of a ``.npy`` file: version 1.0, little endian, C order.

    Examples
    --------
    >>> npy_bytes(np.zeros(2))[:6], len(npy_bytes(np.zeros(2)))
    (b'\x93NUMPY', 144)
    """
    stream = BytesIO()
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
    np.lib.format.write_array(stream, little, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def read_npy(content: bytes) -> NDArray[Any]:
    """Return the array of a ``.npy`` file.

    Raises
    ------
    RefmgError
        If the content is not such a file, is cut off, holds objects, or claims more than it holds.

    Examples
    --------
    >>> read_npy(npy_bytes(np.eye(2)))[1]
    array([0., 1.])
    """
    try:
        _check_header(BytesIO(content), len(content))
        return np.asarray(np.lib.format.read_array(BytesIO(content), allow_pickle=False))
    except Exception as error:  # the header is parsed as Python: anything may be raised
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RefmgError(f"not a .npy file of numbers: {first}") from error


def _check_header(stream: BytesIO, size: int) -> None:
    """Refuse a shape that the file cannot hold, before memory is asked for."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version}, expected (1, 0) or (2, 0)")
    shape, _, dtype = readers[version](stream)
    claimed = prod(shape) * dtype.itemsize
    # Texts may be as long as they say: older NumPy makes the size of their entries negative.
    if dtype.kind not in "biufc" or min(shape, default=0) < 0 or claimed > size - stream.tell():
        raise ValueError(
            f"the header claims {dtype} {shape}, the file has {size - stream.tell()} bytes for it"
        )


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def entry(path: str, array: NDArray[Any], content: bytes) -> dict[str, Any]:
    """Return what the manifest says of one file.

    Examples
    --------
    >>> sorted(entry("a.npy", np.zeros((2, 3)), b""))
    ['dtype', 'file', 'sha256', 'shape']
    """
    return {
        "file": path,
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "sha256": sha256(content),
    }


def read_entry(folder: Path, path: str, about: dict[str, Any]) -> NDArray[Any]:
    """Return the array of one file of an export, checked by what the manifest says of it.

    Parameters
    ----------
    folder : path
        Of the export.
    path : str
        Where the file has to be; the manifest must say the same.
    about : dict
        Its entry in the manifest.

    Raises
    ------
    RefmgError
        If the file is missing or is not the one that was exported.
    """
    if about["file"] != path:
        raise RefmgError(f"the manifest names {about['file']}; expected {path}: export again")
    if not (folder / path).resolve().is_relative_to(folder.resolve()):
        raise RefmgError(f"{folder / path} leads out of {folder}: export again")
    try:
        content = (folder / path).read_bytes()
    except FileNotFoundError as error:
        raise RefmgError(f"found no {folder / path}, which the manifest lists: export again") from error
    if sha256(content) != about["sha256"]:
        raise RefmgError(f"{folder / path} is not the file that was exported (SHA-256 differs): export again")
    array = read_npy(content)
    if (list(array.shape), array.dtype.name) != (about["shape"], about["dtype"]):
        raise RefmgError(
            f"{folder / path} is {array.dtype} {array.shape}; the manifest says {about['dtype']} "
            f"{about['shape']}: export again"
        )
    return array
