"""``python -m refmg_validation`` is the command ``refmg``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command; Ctrl-C gives one line and status 2 even while modules are imported."""
    try:
        from refmg_validation.cli import main as command
    except KeyboardInterrupt:
        print("refmg: interrupted before it began", file=sys.stderr)
        return 2
    return command()


if __name__ == "__main__":
    sys.exit(main())
