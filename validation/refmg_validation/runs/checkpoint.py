"""One checkpoint: a network, notes and arrays after a step, in one file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from refmg import Network, load_saved_network, save_network
from refmg_backends import Backend, RefmgError

FORMAT = "refmg-run-1"
PATTERN = re.compile(r"checkpoint-(\d{6,})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a step.

    Attributes
    ----------
    step : int
        Its number, as the run counts.
    network : Network
        The parameters after it.
    notes : dict
        What else is needed to go on, as JSON holds it.
    arrays : dict of ndarray
        And as arrays, such as the momentum of an optimiser.
    """

    step: int
    network: Network
    notes: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the file of a step.

    Examples
    --------
    >>> checkpoint_path(Path("out"), 12).name
    'checkpoint-000012.safetensors'
    """
    return folder / f"checkpoint-{step:06d}.safetensors"


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps that have a file in a folder, rising."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(match[1]) for match in map(PATTERN.fullmatch, names) if match)


def write_checkpoint(folder: Path, checkpoint: Checkpoint, fingerprint: dict[str, Any]) -> None:
    """Write a checkpoint; its file is whole or absent.

    Raises
    ------
    RefmgError
        If it cannot be written.
    """
    about = {"format": FORMAT, "step": checkpoint.step, "fingerprint": fingerprint}
    path = checkpoint_path(folder, checkpoint.step)
    save_network(path, checkpoint.network, about | {"notes": checkpoint.notes}, checkpoint.arrays)


def read_checkpoint(
    folder: Path, step: int, backend: Backend | str | None = None
) -> tuple[Checkpoint, dict[str, Any]]:
    """Return the checkpoint of a step, and the fingerprint of its run.

    Raises
    ------
    RefmgError
        If it is damaged, of another version, or the file of another step under this name.
    """
    path = checkpoint_path(folder, step)
    saved = load_saved_network(path, backend)
    about = saved.notes
    found = (about.get("format"), about.get("step"))
    if found != (FORMAT, step):
        raise RefmgError(f"{path}: found format and step {found}; expected {(FORMAT, step)}")
    parts = (about.get("notes"), about.get("fingerprint"))
    if not all(isinstance(part, dict) for part in parts):
        raise RefmgError(f"{path} is damaged: it has no notes, or does not say by which settings it was made")
    return Checkpoint(step, saved.network, about["notes"], saved.arrays), about["fingerprint"]
