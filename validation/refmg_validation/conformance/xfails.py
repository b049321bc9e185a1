"""Cases that are known to fail, kept by the implementation's authors in a file of their own."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from refmg_backends import RefmgError, one_of


def read_xfails(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the cases that are expected to fail, each with its reason.

    Parameters
    ----------
    path : Path
        A case a line, or a pattern such as ``convolution-*``; ``#`` begins the reason, or a comment.
    names : iterable of str
        Of all cases, whatever the level.

    Returns
    -------
    dict
        From name to reason; empty where none is given.

    Raises
    ------
    RefmgError
        If the file cannot be read, or a line names no case.
    """
    known, found = list(names), dict[str, str]()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RefmgError(f"cannot read {path}: {error}; expected a text file, a case a line") from error
    for number, line in enumerate(lines, start=1):
        pattern, _, reason = line.partition("#")
        pattern = pattern.strip()
        matches = [name for name in known if fnmatchcase(name, pattern)]
        if pattern and not matches:
            raise RefmgError(f"{path}, line {number}: {_unknown(pattern, known)}")
        found.update(dict.fromkeys(matches, reason.strip()))
    return found


def _unknown(pattern: str, known: list[str]) -> str:
    if any(sign in pattern for sign in "*?["):
        return f"found the pattern {pattern!r}, which no case matches; expected one such as convolve-*"
    if len(pattern.split()) > 1:
        return f"found {pattern!r}; expected one case a line, and its reason after a #"
    told = one_of("case", pattern, known)
    # All names would be a page.
    return told.partition("; expected one of")[0] + "; expected a name that refmg conformance run prints"
