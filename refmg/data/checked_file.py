"""A file of numbers and, in JSON beside it, what they are: used again only if it is whole and unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any

About = dict[str, Any]


class UselessError(Exception):
    """What is there cannot be used: it is missing, of other files, or damaged."""


def numbers_of(place: Path) -> Path:
    """Return the file of the numbers that a JSON file tells of."""
    return place.with_suffix(".pixels")


def read_about(
    place: Path, known: About, length: Callable[[About], int], signed: Callable[[str, About], str]
) -> About:
    """Return what is known of numbers that can be used.

    Parameters
    ----------
    place : path
        The JSON file.
    known : dict
        What it must say.
    length : callable
        From what it says to the bytes of the numbers.
    signed : callable
        From the SHA-256 of the numbers, and what is said, to the ``"sha256"`` that must be there.

    Raises
    ------
    UselessError
        If they cannot be used.
    """
    try:
        about: About = json.loads(place.read_bytes())
        if any(about[name] != value for name, value in known.items()):
            raise UselessError("what is there is of other files")
        if signed(_digest(numbers_of(place), length(about)), about) != about["sha256"]:
            raise UselessError(f"{numbers_of(place)} is damaged")
    except FileNotFoundError:
        raise UselessError("nothing is there yet") from None
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UselessError(f"{place} is damaged") from error
    return about


def _digest(path: Path, length: int) -> str:
    if path.stat().st_size != length:
        raise UselessError(f"{path} has another length than it says")
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
