"""Where labelled pictures lie: a folder a class, or uncompressed tars ``<class>-<part>.tar``."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from refmg_backends import RefmgError, check_environment

FOLDER = "imagenet10"
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# No picture of a data set comes near: a damaged header must not ask for all memory.
MOST_BYTES = 2**26


@dataclass(frozen=True)
class PictureFile:
    """Some bytes of a file that are a picture.

    Parameters
    ----------
    name : str
        For messages.
    label : int
        Its class, counted from 0.
    path : pathlib.Path
        The picture's own file, or a tar.
    offset, length : int
        Where in the file it is, in bytes.
    """

    name: str
    label: int
    path: Path
    offset: int
    length: int

    def read(self) -> bytes:
        """Return its bytes.

        Raises
        ------
        OSError
            If the file cannot be read or has become shorter.
        """
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            content = stream.read(self.length)
        if len(content) != self.length:
            raise OSError(f"found {len(content)} of {self.length} bytes")
        return content


@dataclass(frozen=True)
class PictureSet:
    """The pictures of a folder.

    Attributes
    ----------
    classes : tuple of str
        Their names, sorted; a label counts in them.
    pictures : tuple of PictureFile
        By class or tar, then as the tar has them, or by name.
    files : tuple of pathlib.Path
        All that was looked at: what a copy must be compared with.
    """

    classes: tuple[str, ...]
    pictures: tuple[PictureFile, ...]
    files: tuple[Path, ...]


def find_pictures(data: str | Path | None = None) -> PictureSet:
    """Return the pictures of a folder; none of them is decoded.

    Parameters
    ----------
    data : path, optional
        A folder with tars ``<class>-<part>.tar``, whatever parts are there, or one with a subfolder a class;
        or a folder that has such a one as its subfolder ``imagenet10``. ``REFMG_DATA`` by default. Where
        there are tars, folders are not looked at.

    Raises
    ------
    RefmgError
        If no folder was named or it has neither, or a tar is damaged, compressed, or has an entry that no
        tar of pictures has: a link, a device, or a name that leads out of the folder.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> for name in ("tench", "church"):
    ...     (folder / name).mkdir()
    ...     _ = (folder / name / "1.png").write_bytes(b"not looked at yet")
    >>> found = find_pictures(folder)
    >>> found.classes, [(picture.name, picture.label) for picture in found.pictures]
    (('church', 'tench'), [('church/1.png', 0), ('tench/1.png', 1)])
    """
    named = data or check_environment().get("REFMG_DATA")
    if not named:
        raise RefmgError("found no folder of photographs; expected --data or REFMG_DATA to name one")
    for folder in (Path(named), Path(named) / FOLDER):
        if tars := sorted(folder.glob("*-*.tar")):
            return _of_tars(tars)
    # The subfolder first: it would be taken for a class of its parent.
    for folder in (Path(named) / FOLDER, Path(named)):
        if found := _of_folders(folder):
            return found
    raise RefmgError(
        f"found no <class>-<part>.tar and no folders of pictures in {named} or its subfolder {FOLDER}; "
        "expected some"
    )


def _of_tars(tars: list[Path]) -> PictureSet:
    classes = tuple(sorted({_class_of(tar) for tar in tars}))
    pictures = tuple(p for tar in tars for p in _members(tar, classes.index(_class_of(tar))))
    return PictureSet(classes, pictures, tuple(tars))


def _class_of(tar: Path) -> str:
    return tar.name.rpartition("-")[0]


def _members(tar: Path, label: int) -> list[PictureFile]:
    try:
        # Nothing is unpacked: the bytes of each picture are read where they lie.
        with tarfile.open(tar, "r:") as archive:
            members = [member for member in archive if not member.isdir()]
    except (tarfile.TarError, OSError) as error:
        raise RefmgError(f"cannot read {tar}: {error}; expected an uncompressed tar of pictures") from error
    for member in members:
        _check(tar, member)
    return [PictureFile(_shown(f"{tar.name}:{m.name}"), label, tar, m.offset_data, m.size) for m in members]


def _shown(name: str) -> str:
    """Return a name that a terminal may be given: what cannot be printed is escaped."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _check(tar: Path, member: tarfile.TarInfo) -> None:
    place = PurePosixPath(member.name.replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts:
        raise RefmgError(f"{tar}: found the name {member.name!r}, which leads out of the folder; refused")
    if not member.isreg() or member.issparse():
        raise RefmgError(f"{tar}: found {member.name!r}, a link, device or sparse file; expected pictures")
    if member.size > MOST_BYTES:
        raise RefmgError(
            f"{tar}: found {member.name!r} of {member.size} bytes; expected at most {MOST_BYTES}"
        )


def _of_folders(folder: Path) -> PictureSet | None:
    found = {
        place.name: sorted(p for p in place.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        for place in sorted(folder.iterdir() if folder.is_dir() else [])
        if place.is_dir()
    }
    filled = {name: paths for name, paths in found.items() if paths}
    pictures = [
        PictureFile(_shown(path.relative_to(folder).as_posix()), label, path, 0, path.stat().st_size)
        for label, paths in enumerate(filled.values())
        for path in paths
    ]
    return PictureSet(tuple(filled), tuple(pictures), tuple(p.path for p in pictures)) if filled else None
