"""Whose an output folder is: one experiment with one kind of settings, whatever the seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refmg.atomic import write_atomically
from refmg_backends import RefmgError
from refmg_validation.damage import told_as_damage
from refmg_validation.ranks import once
from refmg_validation.run_format import RUN_FILE
from refmg_validation.runs.fingerprint import check_fingerprint

CLAIM = "experiment.json"
FORMAT = "refmg-experiment-1"
WAY_OUT = "delete it to go on: every checkpoint says whose it is as well"


def check_claim(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Refuse a folder that belongs to another experiment, or to the same one with other settings.

    Parameters
    ----------
    folder : pathlib.Path
        An output folder, held by the caller; it may be empty or missing.
    fingerprint : dict
        The experiment and all that decides the result but the seeds, as JSON can hold it.

    Raises
    ------
    RefmgError
        If they differ, if the claim is damaged, or if there is a record of a run that made no claim.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> claim_folder(folder, {"experiment": "depth"})
    >>> check_claim(folder, {"experiment": "pyramid"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: ... (experiment: depth there, pyramid now); ...
    """
    once(lambda: _check(folder, fingerprint))


def _check(folder: Path, fingerprint: dict[str, Any]) -> None:
    path = folder / CLAIM
    if path.exists():
        there, name = _claimed(path), "experiment"
        # Of another experiment every setting differs: its name says enough.
        check_fingerprint(folder, {name: there.get(name)}, {name: fingerprint.get(name)})
        check_fingerprint(folder, there, fingerprint)
    elif (folder / RUN_FILE).exists():
        raise RefmgError(
            f"{folder} holds the {RUN_FILE} of a run that did not say whose it is; name another --output, or "
            f"delete that {RUN_FILE} to go on in this folder"
        )


def claim_folder(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Write into a folder whose it is, after :func:`check_claim`."""
    content = json.dumps({"format": FORMAT, "fingerprint": fingerprint}, indent=2) + "\n"
    once(lambda: write_atomically(folder / CLAIM, content.encode()))


def _claimed(path: Path) -> dict[str, Any]:
    with told_as_damage(f"{path} is damaged", WAY_OUT):
        found = json.loads(path.read_bytes())
        if found["format"] != FORMAT:
            raise RefmgError(f"{path}: found the format {found['format']!r}; expected {FORMAT!r}")
        fingerprint: dict[str, Any] = dict(found["fingerprint"])
        return fingerprint
