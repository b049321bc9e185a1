"""Pictures inside a page, as data URIs."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from refmg_backends import RefmgError

TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
PNG_START = b"\x89PNG\r\n\x1a\n"


def data_uri(content: bytes, kind: str) -> str:
    """Return a file as part of a page.

    Examples
    --------
    >>> data_uri(b"<svg/>", "image/svg+xml")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:{kind};base64,{b64encode(content).decode()}"


def embedded_file(folder: Path, name: str) -> str:
    """Return a picture of a run as a data URI.

    Parameters
    ----------
    folder : pathlib.Path
        The run's.
    name : str
        PNG or SVG, in that folder or below.

    Raises
    ------
    RefmgError
        If it is missing, is no picture, or lies outside the folder: a page that someone gives away
        must not carry files that its run did not write.

    Examples
    --------
    >>> embedded_file(Path("runs"), "../secret.png")
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: the run in runs names the figure '../secret.png' outside its folder; \
expected a file beside its record
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RefmgError(
            f"the run in {folder} names the figure {name!r} outside its folder; "
            "expected a file beside its record"
        )
    if path.suffix.lower() not in TYPES:
        raise RefmgError(f"the run in {folder} names the figure {name!r}; expected a PNG or SVG file")
    if not path.is_file():
        raise RefmgError(
            f"the figure {name!r} that the run in {folder} names is missing; copy the whole folder, or "
            "run the experiment again"
        )
    content = path.read_bytes()
    if path.suffix.lower() == ".png" and not content.startswith(PNG_START):
        raise RefmgError(f"{path} is no PNG file, or damaged; run the experiment again")
    return data_uri(content, TYPES[path.suffix.lower()])
