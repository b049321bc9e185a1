"""``manifest.json``: all cases with their files, so that a program in any language can read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refmg import __version__
from refmg_backends import RefmgError
from refmg_validation.conformance.case import DTYPES, Case
from refmg_validation.conformance.vectors import entry, npy_bytes
from refmg_validation.damage import MISFITS

NAME, SCHEMA, VERSION = "manifest.json", "refmg-conformance", 1
ORDER = (
    "Files are in C order (row-major): the last index runs fastest. Column-major languages (Julia, MATLAB, "
    "Fortran) that take the bytes as they are get the axes in reversed order, and have to reverse them."
)


def file_of(kind: str, case: str, name: str) -> str:
    """Return where an array lies in the folder.

    Examples
    --------
    >>> file_of("inputs", "convolve-1d-zero", "stencil")
    'inputs/convolve-1d-zero/stencil.npy'
    """
    return f"{kind}/{case}/{name}.npy"


def content_of(cases: Sequence[Case], level: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest of some cases, and the content of every file by its path."""
    files: dict[str, bytes] = {}
    manifest = {
        "schema": SCHEMA,
        "version": VERSION,
        "complete": True,
        "refmg": __version__,
        "level": level,
        "order": ORDER,
        "cases": [_described(case, files) for case in cases],
    }
    return manifest, files


def _described(case: Case, files: dict[str, bytes]) -> dict[str, Any]:
    def arrays(kind: str, values: dict[str, Any]) -> dict[str, Any]:
        return {name: _value(file_of(kind, case.name, name), value, files) for name, value in values.items()}

    return {
        "name": case.name,
        "group": case.group,
        "level": case.level,
        "paragraph": case.paragraph,
        "function": case.function,
        "inputs": arrays("inputs", case.inputs),
        "expected": arrays("expected", case.expected),
        "exact": case.exact,
        "tolerance": case.tolerance,
        "bound": {name: {dtype: case.bound(name, dtype) for dtype in DTYPES} for name in case.expected},
        "reason": case.reason,
    }


def _value(path: str, value: Any, files: dict[str, bytes]) -> dict[str, Any]:
    if not isinstance(value, np.ndarray):
        return {"value": value}
    files[path] = npy_bytes(value)
    return entry(path, value, files[path])


def as_bytes(manifest: dict[str, Any]) -> bytes:
    """Return the manifest as JSON text."""
    return (json.dumps(manifest, indent=1) + "\n").encode()


def read_header(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder, as it is.

    Raises
    ------
    RefmgError
        If there is none, or it is not one of this suite.
    """
    path = folder / NAME
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RefmgError(
            f"found no {path}; expected a folder made by: refmg conformance export {folder}"
        ) from error
    except MISFITS as error:  # neither UTF-8 nor JSON, or a thousand brackets
        raise RefmgError(f"{path} is damaged ({error}): export again") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise RefmgError(f'{path} is another file; expected "schema": "{SCHEMA}"')
    if found.get("version") != VERSION:
        raise RefmgError(f"found version {found.get('version')} of {path}; expected {VERSION}: export again")
    return found
