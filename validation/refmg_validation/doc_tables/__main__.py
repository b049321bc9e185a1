"""``python -m refmg_validation.doc_tables``: writes the recorded tables into the documentation anew.

With ``--check`` it writes nothing, and names what differs with exit status 1.
"""

from __future__ import annotations

import sys

from refmg.atomic import write_atomically
from refmg_validation.doc_tables.blocks import BLOCKS, DOCS, updated


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or check them."""
    check = "--check" in (sys.argv[1:] if arguments is None else arguments)
    stale = 0
    for page in sorted({block.page for block in BLOCKS.values()}):
        path = DOCS / page
        old = path.read_text()
        new = updated(old, page)
        if new != old:
            stale += 1
            print(f"{page}: {'differs from its records' if check else 'written anew'}")
            if not check:
                write_atomically(path, new.encode())
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
