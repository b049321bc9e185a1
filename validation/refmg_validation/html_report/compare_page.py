"""The page of two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refmg_validation.html_report.common_names import named_alike
from refmg_validation.html_report.rendering import rendered
from refmg_validation.html_report.report_page import pictures_of
from refmg_validation.html_report.series_figures import groups_of
from refmg_validation.html_report.settings import compared, origin_of
from refmg_validation.html_report.summaries import final_numbers, switch_measures
from refmg_validation.html_report.tables import PageTable, joined_table, page_table
from refmg_validation.run_reading import read_run


def compare_page(first: Path, second: Path) -> str:
    """Return the page of two runs, A and B: what differs, and by how much.

    Parameters
    ----------
    first, second : pathlib.Path
        Folders with ``run.json``.

    Raises
    ------
    RefmgError
        As :func:`refmg_validation.html_report.report_page.report_page`.
    """
    folders, runs = (first, second), (read_run(first), read_run(second))
    a, b = named_alike(*runs)
    pictures = [
        picture | {"letter": letter}
        for letter, folder, run in zip("AB", folders, runs, strict=True)
        for picture in pictures_of(folder, run)
    ]
    return rendered(
        "compare.html",
        title=f"{first} and {second}",
        runs=[
            {"letter": letter, "folder": str(folder), "title": run["title"], "notes": _notes(run)}
            for letter, folder, run in zip("AB", folders, runs, strict=True)
        ],
        origin=compared(origin_of(a), origin_of(b)),
        settings=compared(a["settings"], b["settings"]),
        ends=joined(final_numbers(a), final_numbers(b)),
        tables=joined(a["tables"], b["tables"]),
        measures=joined(switch_measures(a), switch_measures(b)),
        groups=groups_of(a, b),
        pictures=pictures,
    )


def _notes(run: dict[str, Any]) -> list[str]:
    said = [f"Incomplete: {run['incomplete']}"] if "incomplete" in run else []
    return [*said, *run["notes"]]


def joined(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[PageTable]:
    """Return the tables of two runs, joined where both have one of the same title.

    Examples
    --------
    >>> shared, alone = ({"title": title, "columns": ["n"], "rows": []} for title in "st")
    >>> [table.title for table in joined([shared, alone], [shared])]
    ['s', 't (only in A)']
    """
    others = {raw["title"]: raw for raw in second}
    titles = {raw["title"] for raw in first}
    both = [joined_table(raw, others[raw["title"]]) for raw in first if raw["title"] in others]
    only = [("A", raw) for raw in first if raw["title"] not in others]
    only += [("B", raw) for raw in second if raw["title"] not in titles]
    return both + [page_table(raw | {"title": f"{raw['title']} (only in {letter})"}) for letter, raw in only]
