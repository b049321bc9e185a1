"""Anyone's ``safetensors`` file: checked, read, and written again with some tensors replaced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from refmg_backends import RefmgError
from refmg_backends.errors import check_shape

Array = NDArray[Any]
# safetensors' NumPy reader knows no bfloat16: here it is read as the upper half of a float32.
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
LENGTH = 8  # bytes that hold the length of the header
INDEX = ".index.json"
PICKLES = (b"PK\x03\x04", b"\x80")  # how PyTorch's own files begin, the newer and the older


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies in a file.

    Parameters
    ----------
    dtype : str
        As the file names it, such as ``"BF16"``.
    shape : tuple of int
    begin, end : int
        Bytes, counted from the beginning of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, eq=False)
class ModelFile:
    """The bytes of a ``safetensors`` file and where its tensors lie.

    Parameters
    ----------
    content : bytes
        The whole file.
    entries : dict of str to Entry
        In the order of the header.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from safetensors.numpy import save_file
    >>> path = Path(mkdtemp(), "model.safetensors")
    >>> save_file({"conv.weight": np.ones((2, 1, 3, 3), np.float16)}, path)
    >>> file = read_model(path)
    >>> file.entries["conv.weight"]
    Entry(dtype='F16', shape=(2, 1, 3, 3), begin=80, end=116)
    >>> len(file.replaced({"conv.weight": np.zeros((2, 1, 3, 3))})) == len(file.content)
    True
    """

    content: bytes
    entries: dict[str, Entry]

    def floating(self, name: str) -> bool:
        """Whether a tensor holds numbers that :meth:`read` understands."""
        return self.entries[name].dtype in DTYPES

    def read(self, name: str) -> Array:
        """Return a tensor; bfloat16 becomes float32, exactly.

        Raises
        ------
        RefmgError
            If its type is not a floating one of 16 to 64 bits.
        """
        entry = self.entries[name]
        if not self.floating(name):
            raise RefmgError(f"found {name} of type {entry.dtype}; expected one of {', '.join(DTYPES)}")
        flat = np.frombuffer(self.content, DTYPES[entry.dtype], prod(entry.shape), entry.begin)
        if entry.dtype == "BF16":
            flat = widen_bfloat16(flat)
        return flat.reshape(entry.shape)

    def replaced(self, tensors: Mapping[str, Array]) -> bytes:
        """Return the file with the values of some tensors replaced, each rounded once to its type.

        All else, header and metadata included, is the same to the last bit.

        Raises
        ------
        RefmgError
            If a tensor has another shape, or a value is too large for the type of its tensor.
        """
        content = bytearray(self.content)
        for name, values in tensors.items():
            entry = self.entries[name]
            check_shape(name, values.shape, entry.shape)
            content[entry.begin : entry.end] = _encoded(name, values, entry.dtype)
        return bytes(content)


def read_model(path: str | Path) -> ModelFile:
    """Read a ``safetensors`` file, every claim of its header checked.

    Parameters
    ----------
    path : path

    Returns
    -------
    ModelFile

    Raises
    ------
    RefmgError
        If it is missing, damaged or of another format; a PyTorch pickle is told how to convert, and
        the index of a model in several files that they have to be put together.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RefmgError(f"cannot read {path}: {error.strerror or error}") from error
    # The length of a header may begin as a pickle does, but a header follows it.
    if content.startswith(PICKLES) and content[LENGTH : LENGTH + 1] != b"{":
        raise RefmgError(
            f"{path}: found a pickle of PyTorch, which can run code when it is read; expected safetensors: "
            "where you trust it, load it and convert it by safetensors.torch.save_file(model.state_dict(), "
            '"model.safetensors")'
        )
    if str(path).endswith(INDEX):
        raise RefmgError(
            f"{path}: found the index of a model in several files; expected one safetensors file: put the "
            "parts together, by safetensors.torch.load_file of each and one save_file of all"
        )
    _check_by_reference(path)
    return _parse(content, str(path))


def _check_by_reference(path: str | Path) -> None:
    """Let the format's own library judge sizes, offsets, overlaps and holes."""
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise RefmgError(
            f"{path}: found a file that is no safetensors file, or damaged ({error}); expected "
            "one: copy it again, or save the model again"
        ) from error


def _parse(content: bytes, name: str) -> ModelFile:
    start = LENGTH + int.from_bytes(content[:LENGTH], "little")
    header = json.loads(content[LENGTH:start], object_pairs_hook=lambda pairs: _once(pairs, name))
    header.pop("__metadata__", None)
    entries = {}
    for key, about in header.items():
        begin, end = (start + offset for offset in about["data_offsets"])
        entries[key] = Entry(about["dtype"], tuple(about["shape"]), begin, end)
    return ModelFile(content, entries)


def _once(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise RefmgError(
            f"{name}: found {twice!r} twice in the header; expected it once: save the model again"
        )
    return found


def _encoded(name: str, values: Array, dtype: str) -> bytes:
    if dtype == "BF16":
        rounded, bits = round_bfloat16(values)
    else:
        with np.errstate(over="ignore"):
            rounded = bits = np.ascontiguousarray(values, dtype=DTYPES[dtype])
    if not np.isfinite(rounded).all():
        raise RefmgError(
            f"found values up to {np.abs(values).max():.3g} for {name}, too large for its type {dtype}; "
            "expected smaller ones: convert the model to float32 first"
        )
    return bits.tobytes()


def widen_bfloat16(bits: Array) -> NDArray[np.float32]:
    """Return the numbers that 16-bit patterns stand for.

    Examples
    --------
    >>> widen_bfloat16(np.array([0x3F80, 0xC000], dtype=np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    return (bits.astype("<u4") << 16).view("<f4")


def round_bfloat16(values: Array) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Round to bfloat16, to nearest, ties to even; from float64 in one rounding.

    Returns
    -------
    ndarray of float32, ndarray of uint16
        The rounded numbers and their bit patterns.

    Examples
    --------
    >>> round_bfloat16(np.array([1.0, 1.00390625, 3.0e-3]))[0].tolist()
    [1.0, 1.0, 0.0030059814453125]
    """
    single = _to_odd(np.ascontiguousarray(values, dtype=np.float64))
    bits = single.view(np.uint32).astype(np.uint64)
    upper = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
    pattern = upper.astype("<u2")
    return widen_bfloat16(pattern), pattern


def _to_odd(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to float32 towards zero, with an odd last bit where that was inexact.

    Rounding the result to fewer bits is then the same as rounding `values` to them directly.
    """
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    bits, inexact = single.view(np.uint32), single != values
    bits[np.abs(single) > np.abs(values)] -= 1
    bits[inexact] |= 1
    return single
