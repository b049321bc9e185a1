"""Mean and spread over seeds, on the terminal and in Markdown."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

from refmg_validation.model_study.seed_run import SIZE, TARGETS
from refmg_validation.model_study.variants import BASELINE, CALIBRATED, WITH_CLASSIFIER


def summarize(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return mean and spread of the test accuracies, mean agreement and seconds, by direction and variant."""
    found: dict[str, Any] = {"source": {"source": _over_seeds([row["source"] for row in rows])}}
    for direction in TARGETS:
        names = rows[0][direction]
        found[direction] = {name: _over_seeds([row[direction][name] for row in rows]) for name in names}
    return found


def _over_seeds(scores: list[dict[str, float]]) -> dict[str, Any]:
    test = np.array([score["test"] for score in scores])
    # One seed has no spread: null in the record.
    spread = float(test.std(ddof=1)) if len(test) > 1 else None
    agreement = float(np.mean([score["agreement"] for score in scores]))
    found = {"mean": float(test.mean()), "spread": spread, "agreement": agreement}
    # Nothing is moved in some variants, and older records have no seconds.
    if all("seconds" in score for score in scores):
        found["seconds"] = float(np.mean([score["seconds"] for score in scores]))
    return found


def _cells(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    summary = summarize(rows)
    source = summary["source"]["source"]
    head = ["network"]
    for size in TARGETS.values():
        head += [f"{SIZE} to {size}", "agrees", "seconds"]
    lines = [[f"source, on {SIZE} x {SIZE}", _percent(source), "", "", "", "", ""]]
    for name in summary["coarse"]:
        scores = [summary[direction][name] for direction in TARGETS]
        lines.append([name, *(cell for score in scores for cell in _direction(score))])
    return head, lines


def _direction(score: dict[str, Any]) -> tuple[str, str, str]:
    seconds = f"{score['seconds']:.1f}" if "seconds" in score else ""
    return _percent(score), f"{100 * score['agreement']:.1f}", seconds


def _percent(score: dict[str, Any]) -> str:
    mean = f"{100 * score['mean']:.1f}"
    return mean if score["spread"] is None else f"{mean} +- {100 * score['spread']:.1f}"


def study_table(rows: list[dict[str, Any]]) -> Table:
    """Return the table for the terminal."""
    head, lines = _cells(rows)
    table = Table(title=title(rows))
    for name in head:
        table.add_column(name, justify="left" if name == "network" else "right")
    for line in lines:
        table.add_row(*line)
    return table


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the same table in Markdown."""
    head, lines = _cells(rows)
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *lines])


def title(rows: list[dict[str, Any]]) -> str:
    """Say what the numbers are."""
    plan = rows[0]["plan"]
    seeds = "one seed" if len(rows) == 1 else f"mean and spread of {len(rows)} seeds"
    return (
        f"Accuracy in % on {plan['test']} test images a seed, {seeds}; agreement with "
        f"the source network in % on {plan['validation']} validation images; seconds of the transfer alone"
    )


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """Say by how many points calibration is better than the baseline, and than the source network."""
    lines = []
    for direction in TARGETS:
        for ending in ("", WITH_CLASSIFIER):
            gains = [_test(row, direction, CALIBRATED + ending, BASELINE + ending) for row in rows]
            lines.append(f"to {direction}: {CALIBRATED}{ending} against {BASELINE}{ending}: {_points(gains)}")
        losses = [
            row[direction][CALIBRATED + WITH_CLASSIFIER]["test"] - row["source"]["test"] for row in rows
        ]
        lines.append(f"to {direction}: {CALIBRATED}{WITH_CLASSIFIER} against the source: {_points(losses)}")
    return lines


def _test(row: dict[str, Any], direction: str, ours: str, theirs: str) -> float:
    return float(row[direction][ours]["test"] - row[direction][theirs]["test"])


def _points(differences: list[float]) -> str:
    return f"{100 * np.mean(differences):+.2f} points ({', '.join(f'{100 * d:+.1f}' for d in differences)})"
