"""Writing the cases into a folder: whole, or recognisably not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from refmg.atomic import PART, remove_parts, write_atomically
from refmg_backends import RefmgError
from refmg_validation.conformance.catalogue import cases
from refmg_validation.conformance.manifest import NAME, as_bytes, content_of, read_header

KINDS = ("inputs", "expected")
OUTPUTS = "outputs"


def export(folder: Path, level: str = "full") -> int:
    """Write all cases of a level as ``.npy`` files and a manifest; the same bytes every time.

    Parameters
    ----------
    folder : path
        New, empty, or with an earlier export, which is replaced; its ``outputs`` stay.
    level : {"core", "full"}
        Which cases.

    Returns
    -------
    int
        Number of cases.

    Raises
    ------
    RefmgError
        If other things are in the folder, the level is unknown, or a file cannot be written.

    Notes
    -----
    A manifest with ``"complete": false`` is written first and the complete one last, each file atomically:
    :func:`.manifest.read_cases` refuses what a killed export leaves, and the next export replaces it.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> place = Path(mkdtemp())
    >>> export(place, "core") == len(cases("core")), sorted(p.name for p in place.iterdir())
    (True, ['expected', 'inputs', 'manifest.json'])
    """
    manifest, files = content_of(cases(level), level)
    _check_folder(folder)
    write_atomically(folder / NAME, as_bytes(manifest | {"complete": False, "cases": []}))
    for stale in set(_own_files(folder)) - {folder / path for path in files}:
        stale.unlink()
    for path, content in files.items():
        write_atomically(folder / path, content)
    _remove_empty(folder)
    write_atomically(folder / NAME, as_bytes(manifest))
    return len(manifest["cases"])


def _check_folder(folder: Path) -> None:
    """Refuse a folder with anything that an export did not write."""
    if folder.exists() and not folder.is_dir():
        raise RefmgError(f"{folder} is a file; expected a folder, new or empty")
    there = sorted(folder.iterdir()) if folder.exists() else []
    there = [path for path in there if not path.name.endswith(PART)]
    if there and folder / NAME not in there:
        raise RefmgError(
            f"found {there[0].name} in {folder} and no {NAME}; expected a folder that is new, empty or an "
            "earlier export"
        )
    if there:
        read_header(folder)
    ours = {folder / NAME, folder / OUTPUTS, *(folder / kind for kind in KINDS)}
    others = [path for path in there if path not in ours]
    others += [path for path in _below(folder) if path.suffix != ".npy" and not path.name.endswith(PART)]
    if others:
        raise RefmgError(
            f"found {others[0]}, which no export wrote; expected an earlier export and nothing else: take "
            "another folder"
        )


def _below(folder: Path) -> Iterator[Path]:
    for kind in KINDS:
        yield from (path for path in sorted((folder / kind).rglob("*")) if not path.is_dir())


def _own_files(folder: Path) -> Iterator[Path]:
    remove_parts(folder)
    for kind in KINDS:
        for case in (folder / kind).glob("*"):
            remove_parts(case)
    yield from _below(folder)


def _remove_empty(folder: Path) -> None:
    for kind in KINDS:
        for case in (folder / kind).glob("*"):
            if case.is_dir() and not any(case.iterdir()):
                case.rmdir()
