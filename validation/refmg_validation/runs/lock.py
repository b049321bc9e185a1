"""One run a folder: a lock that ends with the process that holds it."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from refmg.atomic import remove_parts
from refmg_backends import RefmgError
from refmg_validation.damage import MISFITS
from refmg_validation.ranks import once

try:
    import fcntl
except ImportError:  # not on Windows: nothing keeps two runs apart there, as the docs say
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
TRIES = 100  # to make and take a folder that others make and remove


class FolderLock:
    """A context in which no other process, nor this one a second time, may run in a folder.

    The system drops the lock when the process ends, however it ends: what a killed process left does
    not block the next one.

    Parameters
    ----------
    path : path
        The folder; made if missing, and removed again if nothing was written.

    Raises
    ------
    RefmgError
        On entering, if another run holds the folder, with its process number.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> with FolderLock(Path(mkdtemp(), "out")) as lock:
    ...     sorted(p.name for p in lock.path.iterdir())
    ['.lock']
    >>> lock.path.exists()
    False
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None
        self._made = False

    @property
    def held(self) -> bool:
        """Whether this object holds the folder now."""
        return self._descriptor is not None

    def __enter__(self) -> FolderLock:
        """Take the folder, which the first of several ranks holds; remove what a killed process left."""
        once(self._enter)
        return self

    def _enter(self) -> None:
        try:
            self._descriptor = self._made_and_taken()
        except OSError as error:
            raise RefmgError(f"could not lock {self.path}: {error.strerror or error}") from error
        remove_parts(self.path)

    def _made_and_taken(self) -> int:
        for _ in range(TRIES):
            self._made = not self.path.exists()
            # Another process may remove a folder that it made itself, at any moment between these lines.
            with suppress(FileNotFoundError, FileExistsError):
                self.path.mkdir(parents=True, exist_ok=True)
                return self._take()
        self.path.mkdir(parents=True, exist_ok=True)
        return self._take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the folder back."""
        if self._descriptor is None:
            return
        with suppress(OSError):  # Windows keeps open files
            (self.path / NAME).unlink()
        os.close(self._descriptor)
        self._descriptor = None
        if self._made:
            with suppress(OSError):  # not empty: a run was here
                self.path.rmdir()

    def _take(self) -> int:
        while True:
            descriptor = os.open(self.path / NAME, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._lock(descriptor)
                if self._still_there(descriptor):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, json.dumps(_owner()).encode())
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefmgError(
                f"{self.path} is in use by {_named(os.read(descriptor, 1 << 16))}; wait for its end, stop "
                "it, or name another --output"
            ) from None

    def _still_there(self, descriptor: int) -> bool:
        # The former owner removes the file when it ends: then we hold a lock that nobody else sees.
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path / NAME))
        except FileNotFoundError:
            return False


def _owner() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": " ".join(sys.argv)}


def _named(content: bytes) -> str:
    try:
        owner = json.loads(content)
        return f"process {owner['pid']} on {owner['host']} ({owner['command']})"
    except MISFITS:  # it has not written its name yet
        return "another run"
