"""Table 1 of the ImageNet experiment, and what its record says of the goals."""

from __future__ import annotations

from typing import Any

from refmg_validation.doc_tables.markdown import table

Record = dict[str, Any]
COSTS = {"work, of fine only": "work ratio", "processors' seconds, of fine only": "processor ratio"}
ACCURACIES = {
    "at the start %": "after 0",
    "after 1 epoch %": "after 1",
    "after 3 %": "after 3",
    "validation %": "validation",
    "test %": "test",
}
HEAD = ["start on the fine grid", *COSTS, "epochs before / on the fine grid", *ACCURACIES]


def imagenet10(record: Record) -> list[str]:
    """Return one row a start: means, and their spread over splits."""
    return table(HEAD, [_cells(row) for row in record["summary"]])


def _cells(row: Record) -> list[str]:
    epochs = " / ".join(f"{row[key]['mean']:.0f}" for key in ("epochs before", "epochs"))
    costs = [_words(row[key], 1, 2) for key in COSTS.values()]
    return [row["path"], *costs, epochs, *(_words(row[key], 100, 1) for key in ACCURACIES.values())]


def _words(score: Record, scale: float, digits: int) -> str:
    spread = "" if not score["spread"] else f" +- {scale * score['spread']:.{digits}f}"
    return f"{scale * score['mean']:.{digits}f}{spread}"
