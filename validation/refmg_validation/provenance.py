"""Where a result comes from: what someone else needs to make it again."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import refmg
from refmg_backends import check_environment, get_backend
from refmg_backends.processors import processors
from refmg_validation.ranks import once, ranks

# They decide numbers or speed where they are at work, and are imported then.
COMPUTING = ("numba", "cupy")
DATA = "DATA"


def provenance() -> dict[str, Any]:
    """Return command, date, versions, machine, threads and ``REFMG_*`` variables; of a checkout, the commit.

    No absolute path is in it: that of the data is ``DATA``, of others the last part stays.

    Examples
    --------
    >>> sorted(set(provenance()) - {"commit"})
    ['command', 'date', 'environment', 'machine', 'threads', 'versions']
    """
    size = ranks().size
    return once(_found) | ({"ranks": size} if size > 1 else {})


def _found() -> dict[str, Any]:
    variables = shown_variables()
    found = {
        "command": shown_command(sys.argv[1:], variables),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": _versions(),
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processors": processors(),
        },
        "threads": get_backend().threads(),
        "environment": variables,
    }
    commit = source_commit(Path(refmg.__file__).parents[1])
    return found if commit is None else found | {"commit": commit}


def _versions() -> dict[str, str]:
    found = {"refmg": refmg.__version__, "python": platform.python_version()}
    found |= {name: version(name) for name in ("numpy", "scipy")}
    # A package named cupy is installed under several names: the module knows its version.
    return found | {name: str(sys.modules[name].__version__) for name in COMPUTING if name in sys.modules}


def shown_variables() -> dict[str, str]:
    """Return the ``REFMG_*`` variables that are set, with ``DATA`` for the folder of the data."""
    found = check_environment()
    return {name: DATA if name == "REFMG_DATA" else found[name] for name in sorted(found)}


def shown_command(arguments: Sequence[str], variables: dict[str, str]) -> str:
    """Return the command with its variables, as one would type it elsewhere.

    Parameters
    ----------
    arguments : sequence of str
        After ``refmg``.
    variables : dict
        ``REFMG_*`` variables.

    Examples
    --------
    >>> given = ["reproduce", "depth", "--data", "/home/me/mnist", "--output=/tmp/out"]
    >>> shown_command(given, {"REFMG_BACKEND": "numba"})
    'REFMG_BACKEND=numba refmg reproduce depth --data DATA --output=out'
    """
    words, before = ["refmg"], ""
    for word in arguments:
        words.append(DATA if before == "--data" else _shown(word))
        before = word
    return " ".join(
        [*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), shlex.join(words)]
    )


def _shown(word: str) -> str:
    name, equals, value = word.rpartition("=")
    if name == "--data":
        return name + equals + DATA
    return name + equals + Path(value).name if Path(value).is_absolute() else word


@cache
def source_commit(root: Path) -> str | None:
    """Return the commit that this source is, and whether files were changed since; None elsewhere.

    Examples
    --------
    >>> source_commit(Path("nowhere")) is None
    True
    """
    if not (root / ".git").exists():
        return None
    commit, changes = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "-uno")
    if not commit or changes is None:
        return None
    return f"{commit} with changes" if changes else commit


def _git(root: Path, *arguments: str) -> str | None:
    # Hooks and other programs set variables that name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, env=environment)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
