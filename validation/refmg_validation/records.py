"""What a result must carry so that someone else can make it again."""

from __future__ import annotations

import json
import platform
import sys
from argparse import Namespace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shlex import join
from typing import Any

from refmg import __version__
from refmg.atomic import write_atomically
from refmg_backends.processors import processors


def provenance() -> dict[str, Any]:
    """Return command, date, versions and machine."""
    return {
        "command": "refmg " + " ".join(sys.argv[1:]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"refmg": __version__, "python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "scipy")},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processors": processors(),
        },
    }


def study_command(module: str, given: Namespace) -> str:
    """Return the command of a study with all its options, those that were not given too.

    Examples
    --------
    >>> study_command("refmg_validation.x", Namespace(networks=["a", "b"], data=None, cg_steps=3))
    'python -m refmg_validation.x --networks a b --cg-steps 3'
    """
    words = ["python", "-m", module]
    for name, value in vars(given).items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return join(words)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary as indented JSON, atomically."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def write_figure(path: Path, figure: Any) -> None:
    """Write a Matplotlib figure as PNG, atomically."""
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_atomically(path, buffer.getvalue())
