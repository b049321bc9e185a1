"""The page of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refmg_validation.html_report.embedding import embedded_file
from refmg_validation.html_report.rendering import rendered
from refmg_validation.html_report.series_figures import groups_of
from refmg_validation.html_report.settings import flattened, origin_of
from refmg_validation.html_report.summaries import (
    final_numbers,
    full_name,
    switch_items,
    switch_measures,
    switch_name,
    switch_norms,
)
from refmg_validation.html_report.tables import page_table
from refmg_validation.run_reading import read_run


def report_page(folder: Path) -> str:
    """Return the page of the run in a folder: one HTML text that needs nothing else.

    Parameters
    ----------
    folder : pathlib.Path
        With ``run.json`` and the figures that it names.

    Raises
    ------
    RefmgError
        If there is no run, or it is damaged, of another schema, or lacks a figure.
    """
    run = read_run(folder)
    pictures = pictures_of(folder, run)  # first: what is missing is said before anything is drawn
    return rendered(
        "report.html",
        title=run["title"],
        incomplete=run.get("incomplete"),
        origin=flattened(origin_of(run)),
        settings=flattened(run["settings"]),
        notes=run["notes"],
        tables=[page_table(raw) for raw in run["tables"]],
        ends=[page_table(raw) for raw in final_numbers(run)],
        groups=groups_of(run),
        numbers=[page_table({"title": full_name(series)} | series) for series in run["series"]],
        pictures=pictures,
        measures=[page_table(raw) for raw in switch_measures(run)],
        switches=[
            (switch_name(switch), page_table(switch_items(switch)), page_table(switch_norms(switch)))
            for switch in run["switches"]
        ],
    )


def pictures_of(folder: Path, run: dict[str, Any]) -> list[dict[str, str]]:
    """Return the figures that a run made itself, as data URIs with captions."""
    return [
        {"uri": embedded_file(folder, figure["file"]), "caption": figure["caption"]}
        for figure in run["figures"]
    ]
