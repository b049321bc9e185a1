"""Networks in ``safetensors`` files: written atomically, read with every entry checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from refmg.architecture import Architecture
from refmg.atomic import write_atomically
from refmg.checksum import content_sha256
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.network import Network
from refmg_backends import Backend, RefmgError, get_backend

UNSIGNED = "refmg-network-1"  # without a checksum; still read
FORMAT = "refmg-network-2"
TENSORS = ("opening", "stencils", "biases", "W", "mu")
EXTRA = "extra."


@dataclass(frozen=True)
class SavedNetwork:
    """All that is in one file.

    Attributes
    ----------
    network : Network
        The parameters.
    notes : dict
        What was noted beside them.
    arrays : dict of ndarray
        What was saved beside them, on the host, such as the momentum of an optimiser.
    """

    network: Network
    notes: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def save_network(
    path: str | Path,
    network: Network,
    notes: dict[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Save a network.

    Parameters
    ----------
    path : path
        The file, by custom with the ending ``.safetensors``.
    network : Network
        What to save.
    notes : dict, optional
        Anything that JSON can hold; saved in the same file, so that parameters and notes never
        disagree.
    arrays : mapping of ndarray, optional
        More arrays of the host by name; read by :func:`load_saved_network`.

    Raises
    ------
    RefmgError
        If the file cannot be written; an older one there stays whole.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from refmg.network import random_network
    >>> path = Path(mkdtemp(), "net.safetensors")
    >>> save_network(path, random_network(Architecture((4, 4)), seed=0), {"iteration": 3})
    >>> network, notes = load_network(path)
    >>> network.architecture.shape, notes
    ((4, 4), {'iteration': 3})
    """
    host = network.backend.to_numpy
    c = network.controls
    own = (c.opening, c.stencils, c.biases, network.classifier.W, network.classifier.mu)
    named = {name: host(array) for name, array in zip(TENSORS, own, strict=True)}
    named |= {EXTRA + name: np.asarray(array) for name, array in (arrays or {}).items()}
    tensors = {name: array.copy(order="C") for name, array in named.items()}
    metadata = {
        "format": FORMAT,
        "architecture": json.dumps(network.architecture.as_dict()),
        "notes": json.dumps(notes or {}),
    }
    # In the same file as what it vouches for: no interruption can separate the two.
    metadata["sha256"] = content_sha256(metadata, tensors)
    write_atomically(path, safetensors.numpy.save(tensors, metadata=metadata))


def load_network(path: str | Path, backend: Backend | str | None = None) -> tuple[Network, dict[str, Any]]:
    """Load a network and its notes; see :func:`load_saved_network`, which also returns arrays.

    Returns
    -------
    Network, dict

    Raises
    ------
    RefmgError
        If the file is missing, damaged or of another kind.
    """
    saved = load_saved_network(path, backend)
    return saved.network, saved.notes


def load_saved_network(path: str | Path, backend: Backend | str | None = None) -> SavedNetwork:
    """Load a network and all that was saved with it.

    Parameters
    ----------
    path : path
        A file of :func:`save_network`.
    backend : Backend or str, optional
        Where its arrays shall live; ``REFMG_BACKEND``, else NumPy.

    Returns
    -------
    SavedNetwork

    Raises
    ------
    RefmgError
        If the file is missing, damaged (its SHA-256 is compared) or of another kind or version.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from refmg.network import random_network
    >>> path = Path(mkdtemp(), "net.safetensors")
    >>> save_network(path, random_network(Architecture((4, 4)), seed=0), arrays={"momentum": np.ones(2)})
    >>> load_saved_network(path).arrays
    {'momentum': array([1., 1.])}
    """
    place = get_backend(backend) if backend is None or isinstance(backend, str) else backend
    try:
        metadata, tensors = _read(path)
        architecture = Architecture.from_dict(_dict(metadata, "architecture"))
        notes = _dict(metadata, "notes")
    except RefmgError:
        raise
    except (
        OSError,
        SafetensorError,
        ArithmeticError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise RefmgError(f"cannot read {path} as a network of refmg: {error}") from error
    own = [place.asarray(tensors.pop(name)) for name in TENSORS]
    network = Network(architecture, Controls(*own[:3]), Classifier(*own[3:]), place)
    return SavedNetwork(network, notes, {name.removeprefix(EXTRA): tensors[name] for name in tensors})


def _dict(metadata: dict[str, str], name: str) -> dict[str, Any]:
    found = json.loads(metadata[name])
    if not isinstance(found, dict):
        raise TypeError(f"its {name} are no names with values")
    return found


def _read(path: str | Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    with safe_open(path, framework="numpy") as file:
        metadata, names = file.metadata() or {}, list(file.keys())
        _check(path, metadata, names)
        tensors = {name: file.get_tensor(name) for name in names}
    strange = [name for name in TENSORS if tensors[name].dtype.kind not in "fc"]
    if strange:
        raise RefmgError(f"{path}: found {strange[0]} of type {tensors[strange[0]].dtype}; expected floats")
    if metadata["format"] == FORMAT:
        written = metadata.pop("sha256", None)
        if written != content_sha256(metadata, tensors):
            raise RefmgError(f"{path} is damaged: its content is not what its SHA-256 says")
    return metadata, tensors


def _check(path: str | Path, metadata: dict[str, str], names: list[str]) -> None:
    own = {name for name in names if not name.startswith(EXTRA)}
    if metadata.get("format") not in (UNSIGNED, FORMAT) or own != set(TENSORS):
        raise RefmgError(
            f"{path}: found the format {metadata.get('format')!r} with {sorted(names)}; "
            f"expected {FORMAT!r} or {UNSIGNED!r} with {sorted(TENSORS)}"
        )
