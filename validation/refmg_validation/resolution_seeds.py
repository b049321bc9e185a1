"""The resolution experiment over several seeds: mean and spread."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from refmg_validation.damage import read_json
from refmg_validation.levels import LEVELS, SPLITS
from refmg_validation.presets import Preset
from refmg_validation.ranks import divided, once
from refmg_validation.records import provenance, write_json
from refmg_validation.report import described, paper_columns, seconds_text
from refmg_validation.resolution import Progress, load_splits, run_resolution, what_is_measured

COLUMNS = tuple(f"{level}_{split}" for level in LEVELS for split in SPLITS[1:])
SECONDS = tuple(f"{level}_seconds" for level in LEVELS)


def run_seeds(
    preset: Preset,
    data: str | Path | None,
    transfers: list[str],
    seeds: Iterable[int],
    output: Path,
    progress_of: Callable[[int], Any],
) -> dict[str, Any]:
    """Run the experiment once a seed, each in a folder of its own, and put the accuracies together.

    Parameters
    ----------
    preset, data, transfers
        As in :func:`refmg_validation.resolution.run_resolution`.
    seeds : iterable of int
        What each run starts from.
    output : pathlib.Path
        Gets ``seed-0``, ``seed-1`` and so on; what is finished there is not done again.
    progress_of : callable
        From a seed to a context manager whose value is told of each iteration.

    Returns
    -------
    dict
        Settings, mean, spread (the standard deviation of a sample) and all values, ready for JSON.

    Raises
    ------
    RefmgError
        As :func:`refmg_validation.resolution.run_resolution`.
    """

    def run(seed: int) -> dict[str, Any]:
        folder = output / f"seed-{seed}"
        result = once(lambda: _finished(folder, preset, data, transfers, seed))
        if result is None:
            with progress_of(seed) as progress:
                result = _measured(preset, data, transfers, seed, folder, progress)
        return result

    results = divided(list(seeds), run)
    about = {name: results[0][name] for name in ("data", "transfers", "measured")}
    about |= {"preset": preset.as_dict()}
    return about | {"seeds": [r["seed"] for r in results], "summary": summarize([r["rows"] for r in results])}


def _measured(
    preset: Preset, data: str | Path | None, transfers: list[str], seed: int, folder: Path, progress: Progress
) -> dict[str, Any]:
    result = provenance() | run_resolution(preset, data, transfers, seed, folder, progress)
    write_json(folder / "measured.json", result)
    return result


def _finished(
    folder: Path, preset: Preset, data: str | Path | None, transfers: list[str], seed: int
) -> dict[str, Any] | None:
    """Return the record of a finished run with exactly these settings, if there is one."""
    path = folder / "measured.json"
    if not path.exists():
        return None
    found: dict[str, Any] = read_json(path, "delete it to measure again")
    seeded = replace(preset, training=replace(preset.training, seed=seed))
    wanted = {"seed": seed, "transfers": transfers, "preset": asdict(seeded)}
    wanted |= {"data": load_splits(seeded, data, seed)[1]}
    # Rows of another version, or fewer of them, would be missing or mixed in the summary.
    wanted |= {"measured": what_is_measured(transfers, preset.train)}
    # As JSON gives it back: tuples are lists there.
    same = isinstance(found, dict) and json.loads(json.dumps(wanted)) == {n: found.get(n) for n in wanted}
    return found if same else None


def summarize(tables: list[list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return for each network and column the mean, the spread and the values over seeds.

    Seconds are those of moved networks; older records have none.

    Examples
    --------
    >>> columns = dict.fromkeys(COLUMNS, 0.5)
    >>> tables = [[{"network": "native"} | columns], [{"network": "native"} | columns]]
    >>> summarize(tables)["native"]["fine_test"]
    {'mean': 0.5, 'spread': 0.0, 'values': [0.5, 0.5]}
    """
    by_name = [{row["network"]: row for row in rows} for rows in tables]
    return {
        name: {column: _over_seeds([rows[name][column] for rows in by_name]) for column in _columns(row)}
        for name, row in by_name[0].items()
    }


def _columns(row: dict[str, Any]) -> tuple[str, ...]:
    return (*COLUMNS, *(column for column in SECONDS if row.get(column) is not None))


def _over_seeds(values: list[float]) -> dict[str, Any]:
    # One seed has no spread: null in the record.
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "spread": spread, "values": values}


def percent(score: dict[str, Any]) -> str:
    """Return mean and spread in %, as text."""
    mean = f"{100 * score['mean']:.2f}"
    return mean if score["spread"] is None else f"{mean} +- {100 * score['spread']:.2f}"


def seeds_table(result: dict[str, Any]) -> Table:
    """Return the test accuracies in %, the paper's beside them."""
    data, seeds = result["data"], len(result["seeds"])
    title = f"Test accuracy in %, {data['test']} images, mean and spread of {seeds} seeds"
    table = Table(title=f"{title} ({data['name']}, trained on {data['train']})")
    for name in ("network", "coarse images", "paper", "fine images", "paper", "seconds"):
        table.add_column(name, justify="left" if name == "network" else "right")
    for name, scores in result["summary"].items():
        ours = [percent(scores[f"{level}_test"]) for level in LEVELS]
        printed = paper_columns(name)
        seconds = seconds_text(*(scores.get(column, {}).get("mean") for column in SECONDS))
        table.add_row(described(name), ours[0], printed[0], ours[1], printed[1], seconds)
    return table


def gains(result: dict[str, Any], against: str = "unchanged") -> list[str]:
    """Say for each transfer by how much it beats unchanged stencils, seed by seed."""
    lines, base = [], result["summary"][against]
    for name, scores in result["summary"].items():
        if name in ("native", "images resized", against):
            continue
        for level in LEVELS:
            column = f"{level}_test"
            differences = np.subtract(scores[column]["values"], base[column]["values"])
            won = int(np.sum(differences > 0))
            lines.append(
                f"on {level} images {name!r} beats {against} in {won} of {len(differences)} seeds, by "
                f"{100 * differences.mean():+.2f} points in the mean"
            )
    return lines
