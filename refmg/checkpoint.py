"""Networks in ``safetensors`` files: written atomically, read with every entry checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.numpy
from safetensors import SafetensorError, safe_open

from refmg.architecture import Architecture
from refmg.atomic import write_atomically
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.network import Network
from refmg_backends import Backend, RefmgError, get_backend

FORMAT = "refmg-network-1"
TENSORS = ("opening", "stencils", "biases", "W", "mu")


def save_network(path: str | Path, network: Network, notes: dict[str, Any] | None = None) -> None:
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
    arrays = (c.opening, c.stencils, c.biases, network.classifier.W, network.classifier.mu)
    tensors = {name: host(array).copy(order="C") for name, array in zip(TENSORS, arrays, strict=True)}
    metadata = {
        "format": FORMAT,
        "architecture": json.dumps(network.architecture.as_dict()),
        "notes": json.dumps(notes or {}),
    }
    write_atomically(path, safetensors.numpy.save(tensors, metadata=metadata))


def load_network(path: str | Path, backend: Backend | str | None = None) -> tuple[Network, dict[str, Any]]:
    """Load a network and its notes.

    Parameters
    ----------
    path : path
        A file of :func:`save_network`.
    backend : Backend or str, optional
        Where its arrays shall live; ``REFMG_BACKEND``, else NumPy.

    Returns
    -------
    Network, dict

    Raises
    ------
    RefmgError
        If the file is missing, damaged or of another kind.
    """
    place = get_backend(backend) if backend is None or isinstance(backend, str) else backend
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata() or {}, set(file.keys())
            _check(path, metadata, names)
            arrays = [place.asarray(file.get_tensor(name)) for name in TENSORS]
        architecture = Architecture.from_dict(json.loads(metadata["architecture"]))
        notes = json.loads(metadata["notes"])
    except (OSError, SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise RefmgError(f"cannot read {path} as a network of refmg: {error}") from error
    return Network(architecture, Controls(*arrays[:3]), Classifier(*arrays[3:]), place), notes


def _check(path: str | Path, metadata: dict[str, str], names: set[str]) -> None:
    if metadata.get("format") != FORMAT or names != set(TENSORS):
        raise RefmgError(
            f"{path}: found the format {metadata.get('format')!r} with {sorted(names)}; "
            f"expected {FORMAT!r} with {sorted(TENSORS)}"
        )
