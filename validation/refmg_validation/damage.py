"""Records that are not what they should be: one clear error for whatever reading them raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refmg_backends import RefmgError

# What foreign JSON makes innocent code raise; RecursionError where it is nested thousands of times.
MISFITS = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)


@contextmanager
def told_as_damage(found: str, advice: str) -> Iterator[None]:
    """Raise what the lines within raise as one error; what is refused already stays as it is.

    Parameters
    ----------
    found : str
        Says of what file what is wrong, such as ``"out/run.json is damaged"``.
    advice : str
        What to do.

    Raises
    ------
    RefmgError
        With the reason in brackets, in one line.

    Examples
    --------
    >>> with told_as_damage("a.json is damaged", "copy it again"):
    ...     {}["seed"]
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: a.json is damaged (KeyError: 'seed'); copy it again
    """
    try:
        yield
    except RefmgError:
        raise
    except MISFITS as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RefmgError(f"{found} ({reason}); {advice}") from error


def read_json(path: Path, advice: str) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    RefmgError
        If it is no JSON in UTF-8, is nested too deeply, or cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp(), "a.json")
    >>> _ = path.write_text("[1, 2")
    >>> read_json(path, "copy it")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: ...a.json is damaged, it is no JSON (JSONDecodeError: ...); copy it
    """
    with told_as_damage(f"{path} is damaged, it is no JSON", advice):
        try:
            return json.loads(path.read_bytes())
        except OSError as error:
            raise RefmgError(f"cannot read {path}: {error.strerror or error}") from error
