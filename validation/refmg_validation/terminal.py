"""The console on which commands print."""

from __future__ import annotations

import sys

from rich.console import Console


def console() -> Console:
    """Return a console as wide as the terminal, and of a fixed width where output goes elsewhere."""
    return Console(width=None if sys.stdout.isatty() else 110, highlight=False)
