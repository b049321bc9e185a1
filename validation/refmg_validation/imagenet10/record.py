"""The experiment as the record of a run, ``run.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refmg_validation.imagenet10.presets import ImageNetPreset
from refmg_validation.imagenet10.stages import paths_of
from refmg_validation.imagenet10.summary import Rows, timed
from refmg_validation.multilevel.origin import UNKNOWN
from refmg_validation.ranks import decisive
from refmg_validation.run_record import run_record, series_of, switch_of, table_of

COLUMNS = ("loss", "accuracy", "monitored", "validation_loss", "validation", "elapsed", "work")


def record_of(
    results: list[dict[str, Any]],
    preset: ImageNetPreset,
    rows: Rows,
    notes: Sequence[str],
    figures: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Return the record: settings, curves, switches, Table 1, sessions and what is missing."""
    about = {"seed": None, "data": [found["data"] for found in results]}
    return run_record(
        title_of(results, preset),
        seeds=[found["seed"] for found in results],
        settings=preset.as_dict() | about | decisive(),
        series=[line for found in results for line in _series(found, preset)],
        switches=[switch for found in results for switch in _switches(found, preset)],
        tables=[table_of("Table 1", [_means(row) for row in rows])],
        figures=figures,
        notes=notes,
        origin=_origin(results),
        incomplete=missing_words(results),
    ) | {"summary": rows}


def title_of(results: list[dict[str, Any]], preset: ImageNetPreset) -> str:
    """Return what the run is."""
    levels = " -> ".join(map(str, preset.sizes))
    count, train = len(results), results[0]["data"]["train"]
    return f"ImageNet-10, preset {preset.name}, {levels}: {train} training images, {count} splits"


def missing_words(results: list[dict[str, Any]]) -> str | None:
    """Say which stages have not ended; None if all have.

    Examples
    --------
    >>> missing_words([{"seed": 1, "missing": ["linear + BN, 64"]}])
    'seed 1, not yet: linear + BN, 64'
    """
    lines = [f"seed {found['seed']}, not yet: {'; '.join(found['missing'])}" for found in results]
    return ". ".join(line for line, found in zip(lines, results, strict=True) if found["missing"]) or None


def _series(found: dict[str, Any], preset: ImageNetPreset) -> list[dict[str, Any]]:
    lines = []
    for name, last in paths_of(preset).items():
        if any(stage.name not in found["stages"] for stage in last.chain()):
            continue
        rows = [row for row in timed(last.chain(), found["stages"], preset) if row["kind"] == "epoch"]
        for size in dict.fromkeys(row["size"] for row in rows):
            chosen = [row for row in rows if row["size"] == size]
            group = f"{size} x {size}"
            lines.append(series_of(f"{name}, seed {found['seed']}", chosen, COLUMNS, "epoch", group))
    return lines


def _switches(found: dict[str, Any], preset: ImageNetPreset) -> list[dict[str, Any]]:
    switches = []
    for notes in found["stages"].values():
        for record in (r for r in notes["records"] if r["kind"] == "switch"):
            about = record["switch"]
            old, new = (" x ".join(map(str, about[end])) for end in ("old", "new"))
            after = {"validation": record["validation"], "validation_loss": record["validation_loss"]}
            switches.append(
                switch_of(
                    f"seed {found['seed']}, {about['transfer']}: {old}",
                    new,
                    items=[(p["name"], p["action"], p["how"]) for p in about["parts"]],
                    norms=[(n["name"], n["before"], n["after"]) for n in about["norms"]],
                    after=after | {"seconds": record["seconds"]},
                )
            )
    return switches


def _origin(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the session that came last, and all of them with the stages that they worked on."""
    found: list[dict[str, Any]] = []
    for result in results:
        for name, notes in result["stages"].items():
            for session in notes["sessions"]:
                known = next((s for s in found if {**s, "paths": None} == session | {"paths": None}), None)
                known = known or session | {"paths": []}
                known["paths"].append(f"seed {result['seed']}, {name}")
                found += [] if any(s is known for s in found) else [known]
    found.sort(key=lambda session: str(session["date"]))
    last = {key: value for key, value in found[-1].items() if key != "paths"} if found else {}
    return UNKNOWN | last | ({"sessions": found} if len(found) > 1 else {})


def _means(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value["mean"] if isinstance(value, dict) else value for key, value in row.items()}
