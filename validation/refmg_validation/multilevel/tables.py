"""What the multilevel experiments print."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from refmg_validation.multilevel.paths import level_name
from refmg_validation.multilevel.spread import words

WORD = len("prolonged,")
DEPTH_COLUMNS = {
    "initial_loss": ("initial loss", 1.0, 3),
    "initial_validation": ("initial %", 100.0, 1),
    "classifier_loss": ("loss at 0", 1.0, 3),
    "classifier_validation": ("% at 0", 100.0, 1),
    "early_validation": ("best of 5 %", 100.0, 1),
    "best_validation": ("best %", 100.0, 1),
    "best_iteration": ("best at", 1.0, 1),
    "work_here": ("work here", 1.0, 1),
    "saving": ("saving", 1.0, 2),
}
PYRAMID_COLUMNS = {
    "seconds": ("seconds", 1.0, 1),
    "work": ("work", 1.0, 1),
    "best_validation": ("best %", 100.0, 1),
    "test": ("test %", 100.0, 1),
    "seconds_to_target": ("s to target", 1.0, 1),
    "time_ratio": ("ratio", 1.0, 3),
    "work_ratio": ("work ratio", 1.0, 3),
}


def depth_table(rows: list[dict[str, Any]], title: str) -> Table:
    """Return the rows of :func:`refmg_validation.multilevel.depth.depth_summary`."""
    return _table(title, ("layers", "start"), DEPTH_COLUMNS, rows)


def pyramid_table(rows: list[dict[str, Any]], title: str) -> Table:
    """Return the rows of :func:`refmg_validation.multilevel.pyramid.pyramid_summary`."""
    return _table(title, ("path",), PYRAMID_COLUMNS, rows)


def _table(
    title: str, keys: tuple[str, ...], columns: dict[str, tuple[str, float, int]], rows: list[dict[str, Any]]
) -> Table:
    table = Table(title=title)
    for name in (*keys, *(head for head, _, _ in columns.values())):
        names = name in ("start", "path")
        # A name that is cut short could be that of another row.
        table.add_column(name, justify="left" if names else "right", min_width=WORD if names else None)
    for row in rows:
        cells = [words(row[key], scale, digits) for key, (_, scale, digits) in columns.items()]
        table.add_row(*(str(row[key]) for key in keys), *cells)
    return table


def switch_names(record: dict[str, Any]) -> tuple[str, str]:
    """Return the names of the levels before and after a recorded switch."""
    ends = [(record[end]["shape"], record[end]["layers"]) for end in ("old", "new")]
    before, after = (level_name(shape, layers or record["layers"]) for shape, layers in ends)
    return before, after


def switch_table(records: list[dict[str, Any]], title: str) -> Table:
    """Return one row a switch of ``LevelSwitch.record``: what was moved or kept, growth, scores.

    Parameters
    ----------
    records : list of dict
        Switches of one path.
    title : str
        Above the table.
    """
    table = Table(title=title)
    for name in ("switch", "moved", "kept", "restarted", "growth", "loss", "accuracy %", "validation %"):
        table.add_column(name, justify="left" if name in ("switch", "moved", "kept") else "right")
    for record in records:
        parts = {
            action: ", ".join(p["name"] for p in record["parts"] if p["action"] == action)
            for action in ("moved", "kept", "restarted", "dropped")
        }
        lost = [parts["restarted"], parts["dropped"] and f"{parts['dropped']} (dropped)"]
        growth = record["largest_growth"]
        table.add_row(
            "\n".join(switch_names(record)),
            parts["moved"],
            parts["kept"],
            ", ".join(filter(None, lost)) or "nothing",
            "-" if growth is None else f"{growth:.2f}",
            _change(record, "loss", 1.0, 3),
            _change(record, "accuracy", 100.0, 1),
            _change(record, "validation_accuracy", 100.0, 1),
        )
    return table


def _change(record: dict[str, Any], name: str, scale: float, digits: int) -> str:
    """Return the value before over the value after."""
    values = (record[when][name] for when in ("before", "after"))
    return "\n".join("-" if value is None else f"{scale * value:.{digits}f}" for value in values)
