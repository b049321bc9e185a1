"""The multilevel experiments as records of a run, ``run.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refmg_validation.multilevel.costs import with_costs
from refmg_validation.multilevel.origin import missing_words, origin_of
from refmg_validation.multilevel.paths import level_name
from refmg_validation.multilevel.tables import switch_names
from refmg_validation.run_record import run_record, series_of, switch_of, table_of

COLUMNS = ("loss", "accuracy", "validation", "elapsed", "total_work")
MEASURES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "validation_loss": "validation_loss",
    "validation": "validation_accuracy",
}


@dataclass(frozen=True)
class Finding:
    """What an experiment found, in the words of its page.

    Attributes
    ----------
    title : str
        Of the run.
    settings : dict
        What decides the result.
    rows : list of dict
        Of the summary, as :func:`refmg_validation.multilevel.spread.over_seeds` gives them.
    table : str
        Title of the summary's table.
    figures : list of (str, str)
        Files and captions.
    verdicts : list of str
        What holds and what does not.
    """

    title: str
    settings: dict[str, Any]
    rows: list[dict[str, Any]]
    table: str
    figures: Sequence[tuple[str, str]]
    verdicts: Sequence[str]


def record_of(finding: Finding, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the record of a run.

    Parameters
    ----------
    finding : Finding
        The summary.
    results : list of dict
        Of :meth:`refmg_validation.multilevel.experiment.Experiment.run`.
    """
    seeds = [found["seed"] for found in results]
    return run_record(
        finding.title,
        seeds=seeds,
        settings=finding.settings | {"data": [found["data"] for found in results]},
        series=[line for found in results for line in _series(found, len(seeds) > 1)],
        switches=[switch for found in results for switch in _switches(found, len(seeds) > 1)],
        tables=[table_of(finding.table, [_means(row) for row in finding.rows])],
        figures=finding.figures,
        origin=origin_of(results),
        incomplete=missing_words(results),
        notes=finding.verdicts,
    ) | {"summary": finding.rows}


def _series(found: dict[str, Any], several: bool) -> list[dict[str, Any]]:
    lines = []
    for name, records in found["records"].items():
        costs = with_costs(records, found["largest"], found["data"]["train"])
        steps = [row for row in costs if row["kind"] == "iteration"]
        for level in dict.fromkeys((tuple(row["shape"]), row["layers"]) for row in steps):
            chosen = [row for row in steps if (tuple(row["shape"]), row["layers"]) == level]
            label = f"{name}, seed {found['seed']}" if several else name
            lines.append(series_of(label, chosen, COLUMNS, group=level_name(*level)))
    return lines


def _switches(found: dict[str, Any], several: bool) -> list[dict[str, Any]]:
    switches = []
    for name, records in found["records"].items():
        label = f"{name}, seed {found['seed']}: " if several else f"{name}: "
        for record in (r for r in records if r["kind"] == "switch"):
            before, after = switch_names(record)
            switches.append(
                switch_of(
                    label + before,
                    after,
                    items=[(p["name"], p["action"], p["how"]) for p in record["parts"]],
                    norms=[(norm["name"], norm["before"], norm["after"]) for norm in record["norms"]],
                    before={key: record["before"][value] for key, value in MEASURES.items()},
                    after={key: record["after"][value] for key, value in MEASURES.items()},
                )
            )
    return switches


def _means(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value["mean"] if isinstance(value, dict) else value for key, value in row.items()}
