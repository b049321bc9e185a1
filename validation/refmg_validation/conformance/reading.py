"""Cases from the files of an export, which may be damaged or meant to harm."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refmg_backends import RefmgError, one_of
from refmg_validation.conformance.case import DTYPES, LEVELS, Case, Value
from refmg_validation.conformance.functions import FUNCTIONS
from refmg_validation.conformance.manifest import NAME, file_of, read_header
from refmg_validation.conformance.vectors import read_entry

# What a folder and a file may be called: no dots, no separators.
CASE_NAME, ARRAY_NAME = re.compile(r"[a-z0-9-]+"), re.compile(r"\w+", re.ASCII)
LARGEST = sys.float_info.max  # whole numbers of JSON may be larger than any float
WORDS = ("group", "level", "paragraph", "function", "reason")


def read_cases(folder: Path) -> list[Case]:
    """Return the cases of an export, from its files alone, each checked by its SHA-256.

    Parameters
    ----------
    folder : path
        Of the export.

    Returns
    -------
    list of Case
        In the order of the manifest.

    Raises
    ------
    RefmgError
        If the export is incomplete, or anything in it is missing or damaged.
    """
    manifest = read_header(folder)
    if manifest.get("complete") is not True:
        raise RefmgError(f"the export in {folder} was interrupted: export again")
    try:
        cases = [_case(folder, about) for about in _list(manifest["cases"])]
        _check_unique([case.name for case in cases])
        return cases
    except RefmgError:  # says already what is wrong, and where
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RefmgError(
            f"{folder / NAME} is damaged ({type(error).__name__}: {error}): export again"
        ) from error


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"cases are {type(value).__name__}, expected a list")
    return value


def _check_unique(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"there are two cases {twice[0]!r}")


def _case(folder: Path, about: Any) -> Case:
    name = _name(about["name"], CASE_NAME)
    try:
        words = {key: _word(about, key) for key in WORDS}
        function = FUNCTIONS.get(words["function"])
        if function is None:
            raise ValueError(one_of("function", words["function"], FUNCTIONS))
        if words["level"] not in LEVELS:
            raise ValueError(one_of("level", words["level"], LEVELS))
        case = Case(
            name=name,
            **words,
            inputs=_arrays(folder, name, "inputs", about["inputs"], function.arguments),
            expected=_arrays(folder, name, "expected", about["expected"], function.returns),
            tolerance=_numbers(about["tolerance"], DTYPES),
            exact=_flag(about["exact"]),
        )
        _check_bounds(case, about["bound"])
        return case
    except RefmgError:
        raise
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"case {name}: {error}") from error


def _name(value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"found the name {value!r}; expected only {pattern.pattern}")
    return value


def _word(about: Mapping[str, Any], key: str) -> str:
    if not isinstance(about[key], str):
        raise TypeError(f"{key} is {about[key]!r}, expected a text")
    return str(about[key])


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"exact is {value!r}, expected true or false")
    return value


def _check_keys(found: Any, expected: tuple[str, ...]) -> None:
    if not isinstance(found, dict) or set(found) != set(expected):
        told = ", ".join(map(str, found)) if isinstance(found, dict) else repr(found)
        raise ValueError(f"found {told or 'nothing'}; expected {', '.join(expected)}")


def _numbers(found: Any, names: tuple[str, ...]) -> dict[str, float]:
    _check_keys(found, names)
    return {name: _tolerance(found[name]) for name in names}


def _tolerance(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise ValueError(f"found the tolerance {value!r}; expected a finite number of at least 0")
    return float(value)


def _arrays(folder: Path, case: str, kind: str, found: Any, names: tuple[str, ...]) -> dict[str, Any]:
    _check_keys(found, names)
    return {name: _value(folder, case, kind, _name(name, ARRAY_NAME), found[name]) for name in names}


def _value(folder: Path, case: str, kind: str, name: str, part: Any) -> Value:
    if not isinstance(part, dict):
        raise TypeError(f"{kind} {name} is {part!r}, expected a value or a file")
    if "file" not in part and kind == "inputs":
        return _plain(name, part["value"])
    array = read_entry(folder, file_of(kind, case, name), part)
    if array.dtype.kind not in "fi" or not np.isfinite(array).all():
        raise ValueError(f"{kind} {name} has no finite numbers")
    return array


def _plain(name: str, value: Any) -> int | float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"input {name} is {value!r}, expected a number or a name")
    if not isinstance(value, str) and not abs(value) <= LARGEST:
        raise ValueError(f"input {name} is {value!r}, expected a finite number")
    return value


def _check_bounds(case: Case, found: Any) -> None:
    """Refuse bounds that are not what the tolerance makes of the expected outputs."""
    _check_keys(found, tuple(case.expected))
    for name, bounds in found.items():
        for dtype, bound in _numbers(bounds, DTYPES).items():
            if bound != case.bound(name, dtype):
                raise ValueError(
                    f"the bound {bound!r} of {name} in {dtype} is not {case.bound(name, dtype)!r}, which "
                    "tolerance and expected output make"
                )
