"""``refmg reproduce resolution`` as the record of a run."""

from __future__ import annotations

from typing import Any

from refmg.stencil_maps import CALIBRATED
from refmg_validation.levels import LEVELS
from refmg_validation.report import described, ordering, paper_columns
from refmg_validation.resolution_moves import table_rows
from refmg_validation.run_record import run_record, series_of, table_of

HISTORY = ("loss", "regularizer", "accuracy", "validation", "seconds")
# Records made before the backend was written down.
UNKNOWN = {"backend": "not recorded"}


def run_of_resolution(result: dict[str, Any], figures: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the record of one run over two resolutions.

    Parameters
    ----------
    result : dict
        What ``resolution.json`` holds.
    figures : tuple of str
        Pictures beside it.

    Returns
    -------
    dict
        As :func:`refmg_validation.run_record.run_record`.
    """
    series = [series_of(f"{level} images", found, HISTORY) for level, found in result["histories"].items()]
    rows = [_row(row | {"network": _current_name(row["network"], result)}) for row in result["rows"]]
    return run_record(
        f"Two resolutions, preset {result['preset']['name']}, {result['data']['name']}",
        seeds=[result["seed"]],
        settings=_settings(result),
        series=series,
        tables=[table_of("Accuracy on images of either resolution", rows)],
        figures=[
            (file, "Test accuracy on coarse and on fine images, a pair of bars a network") for file in figures
        ],
        notes=ordering(result),
        origin=UNKNOWN | result | _sessions(result),
    )


def _sessions(result: dict[str, Any]) -> dict[str, Any]:
    """Return the processes that trained the networks, where they were kept: measuring may be another's."""
    found = [
        session | {"paths": [level]}
        for level, sessions in result.get("trained", {}).items()
        for session in sessions
    ]
    return {"sessions": found} if found else {}


def run_of_seeds(result: dict[str, Any], figures: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the record of the same experiment over several seeds.

    Parameters
    ----------
    result : dict
        What ``seeds.json`` holds.
    figures : tuple of str
        Pictures beside it.

    Returns
    -------
    dict
        As :func:`refmg_validation.run_record.run_record`.
    """
    preset, data = result["preset"]["name"], result["data"]["name"]
    return run_record(
        f"Two resolutions, preset {preset}, {len(result['seeds'])} seeds, {data}",
        seeds=result["seeds"],
        settings=_settings(result),
        tables=[
            table_of("Accuracy and seconds, mean of the seeds", _summary(result, "mean")),
            table_of("Their spread: standard deviation of a sample", _summary(result, "spread")),
        ],
        figures=[(file, "Mean test accuracy on coarse and on fine images") for file in figures],
        origin=UNKNOWN | result,
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    printed = {
        f"paper, {level} images, in %": float(text) if text else None
        for level, text in zip(LEVELS, paper_columns(row["network"]), strict=True)
    }
    return row | {"network": described(row["network"])} | printed


def _current_name(name: str, result: dict[str, Any]) -> str:
    """Return a row's name; older records do not say how many images "calibrated" saw, which was all."""
    if name != CALIBRATED:
        return name
    *_, whole, _ = table_rows([CALIBRATED], result["data"]["train"])
    return whole.title


def _settings(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("preset", "data", "transfers", "measured") if name in result}


def _summary(result: dict[str, Any], what: str) -> list[dict[str, Any]]:
    summary = result["summary"]
    # The first row names the columns of a table, and "native" has no seconds.
    columns = dict.fromkeys(column for scores in summary.values() for column in scores)
    return [
        {"network": described(_current_name(name, result))}
        | {column: scores[column][what] if column in scores else None for column in columns}
        for name, scores in summary.items()
    ]
