"""Results in files, written atomically."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from shlex import join
from typing import Any

from refmg.atomic import write_atomically
from refmg_validation.provenance import provenance
from refmg_validation.ranks import once

__all__ = ["provenance", "study_command", "write_figure", "write_json"]


def study_command(module: str, given: Namespace) -> str:
    """Return the command of a study with all its options, those that were not given too; of flags, those set.

    Examples
    --------
    >>> study_command("refmg_validation.x", Namespace(networks=["a", "b"], data=None, cg_steps=3))
    'python -m refmg_validation.x --networks a b --cg-steps 3'
    >>> study_command("refmg_validation.x", Namespace(quick=False, no_compile=True))
    'python -m refmg_validation.x --no-compile'
    """
    words = ["python", "-m", module]
    for name, value in vars(given).items():
        if value is not None and value is not False:
            values = value if isinstance(value, list) else [] if value is True else [value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return join(words)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary as indented JSON, atomically."""
    once(lambda: write_atomically(path, (json.dumps(content, indent=2) + "\n").encode()))


def write_figure(path: Path, figure: Any) -> None:
    """Write a Matplotlib figure as PNG, atomically."""
    from io import BytesIO

    def write() -> None:
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        write_atomically(path, buffer.getvalue())

    once(write)
