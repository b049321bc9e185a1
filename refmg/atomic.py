"""Files that are either whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from refmg_backends import RefmgError

PART = ".refmg-part"


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part.

    Parameters
    ----------
    path : path
        The file; its folder is made if missing.
    content : bytes
        All of it.

    Raises
    ------
    RefmgError
        If the disk is full or the place cannot be written; the old file is as it was.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp(), "a", "b.txt")
    >>> write_atomically(path, b"whole")
    >>> path.read_text(), [p.name for p in path.parent.iterdir()]
    ('whole', ['b.txt'])
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content)
    except OSError as error:
        raise _not_written(target, error) from error


@contextmanager
def written_atomically(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file that is written piece by piece, for content that memory shall not hold at once.

    Parameters
    ----------
    path : path
        The file; its folder is made if missing. It is there, whole, when the context ends; an error inside
        leaves what was there before.

    Raises
    ------
    RefmgError
        If the disk is full or the place cannot be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp(), "numbers")
    >>> with written_atomically(path) as stream:
    ...     _ = stream.write(b"one "), stream.write(b"two"), path.exists()
    >>> path.read_text()
    'one two'
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(target) as stream:
            yield stream
    except OSError as error:
        raise _not_written(target, error) from error


def remove_parts(folder: str | Path) -> None:
    """Remove what processes left that were killed while they wrote into a folder.

    Only for a folder in which nobody writes, such as a locked one. A part that cannot be removed stays.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> part = Path(mkdtemp(), f".b.txt.x1{PART}")
    >>> part.touch()
    >>> remove_parts(part.parent)
    >>> part.exists()
    False
    """
    for part in Path(folder).glob(f".*{PART}"):
        with suppress(OSError):
            part.unlink()


def _not_written(target: Path, error: OSError) -> RefmgError:
    return RefmgError(
        f"could not write {target}: {error.strerror or error}; what was there before is unharmed"
    )


def _replace(target: Path, content: bytes) -> None:
    with _replacing(target) as stream:
        stream.write(content)


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    prefix = f".{target.name}."
    with NamedTemporaryFile(dir=target.parent, prefix=prefix, suffix=PART, delete=False) as stream:
        part = Path(stream.name)
        try:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            # The temporary file is private to its owner; the result gets the usual permissions.
            os.chmod(part, 0o666 & ~_umask())
            os.replace(part, target)
        except BaseException:  # Ctrl-C as well: leave no part behind
            part.unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
