"""Writes ``docs/licences.md``: the licences of what refmg needs and may use, as the packages say.

``python tests/support/licences.py`` in an environment that has them; those that it has not keep their line.
"""

import configparser
import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "licences.md"
TOOLS = ("test", "docs")  # extras of those who work on refmg itself
HEAD = """# Licences of dependencies

refmg is BSD-3-Clause and ships nothing of others. What it installs, and what the extras add, is under these
licences, as the packages themselves say (`python tests/support/licences.py` writes this page):

| package | needed by | licence |
|---|---|---|
"""


def needed():
    """Return the extras, or ``refmg`` itself, that need each package."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = {k: v for k, v in setup["options.extras_require"].items() if k not in TOOLS}
    found = {}
    for name, lines in {"refmg": setup["options"]["install_requires"], **extras}.items():
        for line in lines.split():
            found.setdefault(re.split(r"[<>=]", line)[0], []).append(name)
    return found


def licence_of(package):
    """Return what an installed package says; None if it is not installed."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return None
    classifiers = [c.split(" :: ")[-1] for c in about.get_all("Classifier") or [] if c.startswith("License")]
    text = (about.get("License") or "").strip()
    short = text if text and "\n" not in text and len(text) < 40 else ""
    return about.get("License-Expression") or ", ".join(classifiers) or short


def lines_of(page):
    """Return the licences that a page lists."""
    return dict(re.findall(r"^\| `([^`]+)` \| [^|]* \| (.*) \|$", page, re.MULTILINE))


def page(older):
    """Return the page; of packages that are not installed here the licence that it had."""
    known, rows = lines_of(older), []
    for package, extras in sorted(needed().items()):
        licence = licence_of(package) or known.get(package, "not looked up")
        rows.append(f"| `{package}` | {', '.join(extras)} | {licence} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text() if PAGE.exists() else ""))
