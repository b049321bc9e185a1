"""A SHA-256 over text and arrays together, so that a file can prove that it is as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np


def content_sha256(text: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named text and named arrays.

    Parameters
    ----------
    text : mapping of str
        Entries by name; their order does not matter.
    arrays : mapping of ndarray
        Arrays by name; names, types, shapes and all bytes count, memory layout and byte order do not.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> one, other = np.zeros(2), np.array([0.0, -0.0])
    >>> content_sha256({"a": "b"}, {"x": one}) == content_sha256({"a": "b"}, {"x": other})
    False
    >>> len(content_sha256({"a": "b"}, {"x": one}))
    64
    """
    # Types and shapes stand before the bytes: no two contents run into the same stream of bytes.
    names = sorted(arrays)
    shapes = [(name, arrays[name].dtype.name, arrays[name].shape) for name in names]
    digest = hashlib.sha256(json.dumps([sorted(text.items()), shapes]).encode())
    for name in names:
        array = arrays[name]
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()
