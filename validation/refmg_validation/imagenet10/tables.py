"""Table 1 on the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from refmg_validation.imagenet10.summary import PAPER
from refmg_validation.multilevel.spread import words

# Column: key, scale, digits.
COLUMNS = {
    "seconds": ("seconds", 1.0, 0),
    "of fine only": ("time ratio", 1.0, 3),
    "processor": ("processor ratio", 1.0, 3),
    "work": ("work ratio", 1.0, 3),
    "epochs before": ("epochs before", 1.0, 0),
    "epochs": ("epochs", 1.0, 0),
    "at start %": ("after 0", 100.0, 1),
    "1 epoch %": ("after 1", 100.0, 1),
    "validation %": ("validation", 100.0, 1),
    "test %": ("test", 100.0, 1),
}


def table_1(rows: list[dict[str, Any]], title: str) -> Table:
    """Return the rows of :func:`refmg_validation.imagenet10.summary.summary`, and the paper's."""
    table = Table(
        title=title, caption="Below the line: the paper's, five splits of 224 x 224, its validation"
    )
    table.add_column("start on the fine grid", min_width=16)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [words(row[key], scale, digits) for key, scale, digits in COLUMNS.values()]
        table.add_row(row["path"], *cells, end_section=row is rows[-1])
    for name, (seconds, accuracy) in PAPER.items():
        printed = {"seconds": seconds, "validation %": accuracy}
        table.add_row(f"{name} (paper)", *(printed.get(column, "") for column in COLUMNS))
    return table
