"""The settings that decide the result of a run, compared with those of the run that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refmg_backends import RefmgError
from refmg_validation.damage import told_as_damage

SHOWN = 4  # more differences than that do not fit one line


def check_fingerprint(place: str | Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to go on with a run whose result other settings decide.

    Parameters
    ----------
    place : path
        Where `found` was.
    found, wanted : dict
        Settings there and now, as JSON can hold them; tuples count as lists, and a missing setting as None.

    Raises
    ------
    RefmgError
        If they differ; the message names what differs.

    Examples
    --------
    >>> check_fingerprint("out", {"run": {"seed": 0}}, {"run": {"seed": 1}})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: out belongs to a run with other settings (run.seed: 0 there, 1 now); ...
    """
    with told_as_damage(f"{place} does not say by which settings it was made", "delete it to start again"):
        there, now = _leaves(found), _leaves(json.loads(json.dumps(wanted)))
        names = [name for name in sorted({*there, *now}) if there.get(name) != now.get(name)]
        pairs = [f"{name}: {there.get(name)} there, {now.get(name)} now" for name in names[:SHOWN]]
    if names:
        more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
        raise RefmgError(
            f"{place} belongs to a run with other settings ({'; '.join(pairs + more)}); name another "
            "--output, or delete this one"
        )


def _leaves(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            leaves |= _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
            # A list of levels: one number in one of them is what differs.
            leaves |= _leaves({f"{name}[{i}]": part for i, part in enumerate(value)}, prefix)
        else:
            leaves[prefix + name] = value
    return leaves
