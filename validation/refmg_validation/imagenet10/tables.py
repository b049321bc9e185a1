"""Table 1 on the terminal: costs, then accuracies."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from refmg_validation.imagenet10.summary import PAPER
from refmg_validation.multilevel.spread import words

Columns = dict[str, tuple[str, float, int]]
# Column: key, scale, digits.
COSTS: Columns = {
    "seconds": ("seconds", 1.0, 0),
    "of fine only": ("time ratio", 1.0, 2),
    "processors'": ("processor ratio", 1.0, 2),
    "work": ("work ratio", 1.0, 2),
    "epochs before": ("epochs before", 1.0, 0),
    "epochs": ("epochs", 1.0, 0),
}
ACCURACIES: Columns = {
    "at the start": ("after 0", 100.0, 1),
    "after 1 epoch": ("after 1", 100.0, 1),
    "after 3": ("after 3", 100.0, 1),
    "validation": ("validation", 100.0, 1),
    "test": ("test", 100.0, 1),
}


def table_1(rows: list[dict[str, Any]], title: str) -> list[Table]:
    """Return the rows of :func:`refmg_validation.imagenet10.summary.summary` and the paper's, twice."""
    paper = [{"seconds": seconds, "validation": accuracy} for seconds, accuracy in PAPER.values()]
    costs = _table(title, COSTS, rows, paper)
    said = "accuracies in %, on the fine grid; last rows: the paper's, five splits of 224 x 224"
    return [costs, _table(f"{title}: {said}", ACCURACIES, rows, paper)]


def _table(title: str, columns: Columns, rows: list[dict[str, Any]], paper: list[dict[str, str]]) -> Table:
    table = Table(title=title)
    table.add_column("start on the fine grid", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [words(row[key], scale, digits) for key, scale, digits in columns.values()]
        table.add_row(row["path"], *cells, end_section=row is rows[-1])
    for name, printed in zip(PAPER, paper, strict=True):
        table.add_row(f"{name} (paper)", *(printed.get(column, "") for column in columns))
    return table
