"""Numbers and texts as a page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

FRACTIONS = ("accuracy", "validation", "test")
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    """A text, and whether it is a number: those stand on the right."""

    text: str
    numeric: bool = False


def is_fraction(column: str) -> bool:
    """Say whether a column holds accuracies: fractions, shown in %.

    Examples
    --------
    >>> is_fraction("coarse_test"), is_fraction("loss")
    (True, False)
    """
    return column in FRACTIONS or column.endswith(tuple(f"_{name}" for name in FRACTIONS))


def heading(column: str) -> str:
    """Return what stands above a column.

    Examples
    --------
    >>> heading("coarse_test")
    'coarse test in %'
    """
    words = column.replace("_", " ")
    return f"{words} in %" if is_fraction(column) else words


def cell(value: Any, column: str = "") -> Cell:
    """Return a value as the page shows it.

    Parameters
    ----------
    value : number, str, bool or None
        None: nothing is known.
    column : str
        Where it stands; accuracies are shown in %.

    Examples
    --------
    >>> cell(0.95125, "test").text, cell(0.000123456).text, cell(None).text, cell(True).text
    ('95.12', '0.0001235', '–', 'yes')
    """
    if value is None:
        return Cell("\N{EN DASH}")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, str):
        return Cell(value, value in ("nan", "inf", "-inf"))
    text = f"{100 * value:.2f}" if is_fraction(column) else _number(value)
    return Cell(text.replace("-", MINUS) if "e" not in text else text, numeric=True)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def difference(old: Any, new: Any, column: str = "") -> Cell:
    """Return ``new - old`` with its sign, where both are numbers.

    Examples
    --------
    >>> difference(0.25, 0.5, "test").text, difference(1, "?").text
    ('+25.00', '')
    """
    if not (is_number(old) and is_number(new)):
        return Cell("")
    gained = cell(new - old, column)
    return Cell(f"+{gained.text}" if new > old else gained.text, numeric=True)


def is_number(value: Any) -> bool:
    """Say whether one can calculate with a value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_float(value: Any) -> float:
    """Return a number, NaN for what is none."""
    return float(value) if is_number(value) else nan
