"""Texts and numbers that no page of a run can hold, whoever wrote its record."""

from __future__ import annotations

import re
from math import inf
from typing import Any

# What neither XML nor UTF-8 has room for: control characters, lone surrogates, no characters.
UNFIT = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LARGEST = 1e100  # figures multiply and take powers, in double precision
DEEPEST = 50


def first_unfit(run: dict[str, Any]) -> tuple[str, str, str] | None:
    r"""Return place, what was found and what was expected of the first value that does not fit.

    Parameters
    ----------
    run : dict
        From JSON.

    Returns
    -------
    tuple of str, or None
        Nested lists and objects are looked through without recursion, so that none is too deep.

    Examples
    --------
    >>> first_unfit({"notes": ["a bell: \x07"]})[0]
    'notes[0]'
    >>> first_unfit({"notes": ["fine"], "seeds": [0]}) is None
    True
    """
    waiting: list[tuple[str, Any, int]] = [("", run, 0)]
    while waiting:
        place, value, depth = waiting.pop()
        if depth > DEEPEST:
            return place[:60], f"nested more than {DEEPEST} times", "less"
        found = _wrong(value)
        if found is not None:
            return (f"a name in {place or 'the record'}" if isinstance(value, dict) else place), *found
        waiting += [(at, part, depth + 1) for at, part in _parts(place, value)]
    return None


def _wrong(value: Any) -> tuple[str, str] | None:
    texts = value if isinstance(value, dict) else [value] if isinstance(value, str) else []
    for text in texts:
        found = UNFIT.search(text)
        if found is not None:
            return f"a text with the character {found[0]!a}", "one without control characters"
    if isinstance(value, int | float) and LARGEST < abs(value) != inf:
        return "a number of too many digits", f"one below {LARGEST:g}, or null"
    return None


def _parts(place: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"{place}.{name}" if place else name, part) for name, part in value.items()]
    if isinstance(value, list):
        return [(f"{place}[{number}]", part) for number, part in enumerate(value)]
    return []
