"""Arrays and notes in one ``safetensors`` file that is whole or absent, and knows its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from refmg.atomic import write_atomically
from refmg.checksum import content_sha256
from refmg_backends import RefmgError
from refmg_validation.damage import told_as_damage
from refmg_validation.runs import check_fingerprint

FORMAT = "refmg-state-1"


def write_state(
    path: Path, arrays: Mapping[str, np.ndarray], notes: dict[str, Any], fingerprint: dict[str, Any]
) -> None:
    """Write arrays and notes; an older file of this name stays whole until the new one is.

    Raises
    ------
    RefmgError
        If it cannot be written.
    """
    tensors = {name: np.array(array, order="C") for name, array in arrays.items()}
    content = json.dumps({"notes": notes, "fingerprint": fingerprint})
    metadata = {"format": FORMAT, "content": content}
    metadata["sha256"] = content_sha256(metadata, tensors)
    write_atomically(path, safetensors.numpy.save(tensors, metadata=metadata))


def read_state(path: Path, fingerprint: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays and notes.

    Raises
    ------
    RefmgError
        If the file is missing, damaged, of another kind, or of a run with other settings.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp(), "state.safetensors")
    >>> write_state(path, {"a": np.ones(1)}, {"epoch": 3}, {"seed": 0})
    >>> read_state(path, {"seed": 0})
    ({'a': array([1.])}, {'epoch': 3})
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        written, kind = metadata.pop("sha256", None), metadata.get("format")
        if kind != FORMAT or written != content_sha256(metadata, arrays):
            raise RefmgError(f"{path} is damaged: delete it to go on")
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise RefmgError(f"cannot read {path} as a state of a run: {error}; delete it to go on") from error
    with told_as_damage(f"{path} is no state of a run", "delete it to go on"):
        found = json.loads(metadata["content"])
        check_fingerprint(path, dict(found["fingerprint"]), fingerprint)
        return arrays, dict(found["notes"])
