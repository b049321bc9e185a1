"""Results in files, written atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refmg.atomic import write_atomically
from refmg_validation.provenance import provenance

__all__ = ["provenance", "write_figure", "write_json"]


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary as indented JSON, atomically."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def write_figure(path: Path, figure: Any) -> None:
    """Write a Matplotlib figure as PNG, atomically."""
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_atomically(path, buffer.getvalue())
