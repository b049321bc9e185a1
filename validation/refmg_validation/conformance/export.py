"""Writing the cases into a folder: whole, or recognisably not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refmg.atomic import PART, write_atomically
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
    A manifest with ``"complete": false`` and the list of all files is written first and the complete one
    last, each file atomically: :func:`.reading.read_cases` refuses what a killed export leaves, and the next
    export replaces it. Only files that a manifest lists are ever removed.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> place = Path(mkdtemp())
    >>> export(place, "core") == len(cases("core")), sorted(p.name for p in place.iterdir())
    (True, ['expected', 'inputs', 'manifest.json'])
    """
    manifest, files = content_of(cases(level), level)
    earlier = _earlier(folder)
    listed = sorted({*earlier, *files})
    write_atomically(folder / NAME, as_bytes(manifest | {"complete": False, "cases": [], "files": listed}))
    for path in _below(folder):
        if path.name.endswith(PART) or _relative(folder, path) not in files:
            path.unlink()
    for name, content in files.items():
        write_atomically(folder / name, content)
    _remove_empty(folder)
    write_atomically(folder / NAME, as_bytes(manifest))
    return len(manifest["cases"])


def _earlier(folder: Path) -> set[str]:
    """Return the files of an earlier export; refuse a folder with anything else in it."""
    if folder.exists() and not folder.is_dir():
        raise RefmgError(f"{folder} is a file; expected a folder, new or empty")
    there = sorted(folder.iterdir()) if folder.exists() else []
    there = [path for path in there if not path.name.endswith(PART)]
    if there and folder / NAME not in there:
        raise RefmgError(
            f"found {there[0].name} in {folder} and no {NAME}; expected a folder that is new, empty or an "
            "earlier export"
        )
    listed = _listed(read_header(folder)) if there else set()
    ours = {folder / NAME, folder / OUTPUTS, *(folder / kind for kind in KINDS)}
    strangers = [path for path in there if path not in ours or (path.is_symlink() and path.name != OUTPUTS)]
    strangers += [path for path in _below(folder) if not _written(folder, path, listed)]
    if strangers:
        raise RefmgError(
            f"found {strangers[0]}, which no export wrote; expected an earlier export and nothing else: take "
            "another folder"
        )
    return listed


def _listed(manifest: dict[str, Any]) -> set[str]:
    """Return the files that a manifest names; one of an interrupted export has a list of them."""
    files = manifest.get("files", [])
    try:
        parts = [part for case in manifest["cases"] for kind in KINDS for part in case[kind].values()]
        return {str(name) for name in files} | {str(part["file"]) for part in parts if "file" in part}
    except (KeyError, TypeError, AttributeError) as error:
        raise RefmgError(
            f"the {NAME} there is damaged ({type(error).__name__}: {error}), so that it does not say which "
            "files are an export's: take another folder"
        ) from error


def _written(folder: Path, path: Path, listed: set[str]) -> bool:
    """Whether an export wrote a file, or was killed while it did."""
    name = path.name
    if name.endswith(PART) and name.startswith("."):
        name = name[1:].removesuffix(PART).rpartition(".")[0]
    return not path.is_symlink() and _relative(folder, path.with_name(name or path.name)) in listed


def _relative(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _below(folder: Path) -> list[Path]:
    """Return files and links of inputs and expected outputs; what lies behind a link is not ours to see."""
    found = []
    for kind in KINDS:
        paths = [] if (folder / kind).is_symlink() else sorted((folder / kind).rglob("*"))
        found += [path for path in paths if path.is_symlink() or not path.is_dir()]
    return found


def _remove_empty(folder: Path) -> None:
    for kind in KINDS:
        for case in (folder / kind).glob("*"):
            if case.is_dir() and not any(case.iterdir()):
                case.rmdir()
