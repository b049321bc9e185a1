"""Tables of one run, and the same table of two runs joined row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from refmg_validation.html_report.cells import Cell, cell, difference, heading

Raw = dict[str, Any]  # title, columns and rows, as in run.json


@dataclass(frozen=True)
class PageTable:
    """What the template lays out.

    Parameters
    ----------
    title : str
        Its caption.
    corner : str
        Heading of the first column, which names the rows.
    columns : list of str
        The other headings.
    parts : list of str
        What every column is divided into; empty for one run.
    rows : list of list of Cell
        The first cell names the row; then one a column and part.
    """

    title: str
    corner: str
    columns: list[str]
    parts: list[str]
    rows: list[list[Cell]]

    @property
    def lines(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Name of every row, and text and style of its other cells: numbers stand on the right."""
        styles = [" ".join(self._style(at)) for at in range(1, len(self.columns) * self._width + 1)]
        return [
            (row[0].text if row else "", [(c.text, s) for c, s in zip(row[1:], styles, strict=True)])
            for row in self.rows
        ]

    @property
    def headings(self) -> list[tuple[str, str]]:
        """Text and style of the headings over the cells of a table without parts."""
        return [(column, " ".join(self._style(at))) for at, column in enumerate(self.columns, 1)]

    @property
    def _width(self) -> int:
        return len(self.parts) or 1

    def _style(self, at: int) -> list[str]:
        # A dash in a column of numbers stands where the numbers do.
        first = (at - 1) // self._width * self._width + 1
        cells = [cell for row in self.rows for cell in row[first : first + self._width]]
        number = ["number"] if any(cell.numeric for cell in cells) else []
        return number + (["start"] if self.parts and at % self._width == 1 else [])


def page_table(raw: Raw) -> PageTable:
    """Return a table of one run.

    Examples
    --------
    >>> page_table({"title": "t", "columns": ["layers", "test"], "rows": [[4, 0.5]]}).rows[0][1].text
    '50.00'
    """
    rows = [[cell(v, c) for v, c in zip(row, raw["columns"], strict=True)] for row in raw["rows"]]
    corner, *columns = [heading(column) for column in raw["columns"]] or [""]
    return PageTable(raw["title"], corner, columns, [], rows)


def joined_table(first: Raw, second: Raw) -> PageTable:
    """Return the table of two runs: every column of A, of B, and the difference.

    Rows belong together where their first cells are the same; what one run lacks stays unknown.

    Examples
    --------
    >>> tables = [{"title": "t", "columns": ["n", "loss"], "rows": [[4, loss]]} for loss in (2.0, 1.5)]
    >>> [cell.text for cell in joined_table(*tables).rows[0]]
    ['4', '2', '1.5', '−0.5']
    """
    columns = list(dict.fromkeys([*first["columns"][1:], *second["columns"][1:]]))
    rows = [dict(_by_name(first)), dict(_by_name(second))]
    body = []
    for name in dict.fromkeys([*rows[0], *rows[1]]):
        line = [cell(name[0])]
        for column in columns:
            a, b = (found.get(name, {}).get(column) for found in rows)
            line += [cell(a, column), cell(b, column), difference(a, b, column)]
        body.append(line)
    corner = heading((first["columns"] or second["columns"] or [""])[0])
    parts = ["A", "B", "B\N{NO-BREAK SPACE}\N{MINUS SIGN}\N{NO-BREAK SPACE}A"]
    return PageTable(first["title"], corner, [heading(column) for column in columns], parts, body)


def _by_name(raw: Raw) -> Iterator[tuple[tuple[Any, int], dict[str, Any]]]:
    """Yield rows with their names; a name that comes again gets a number, and so stays apart."""
    seen: dict[Any, int] = {}
    for row in raw["rows"]:
        name = row[0] if row else None
        seen[name] = seen.get(name, -1) + 1
        yield (name, seen[name]), dict(zip(raw["columns"], row, strict=True))
