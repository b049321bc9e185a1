"""Shallow to deep (paper, Figure 2): what every start gives at every depth."""

from __future__ import annotations

from typing import Any

from refmg_validation.multilevel.costs import before_first, first_to, iterations_on, with_costs
from refmg_validation.multilevel.paths import PROLONGED, RANDOM, SHORT
from refmg_validation.multilevel.spread import over_seeds

KEYS = ("layers", "start")
EARLY = 5  # iterations in which the paper's prolonged networks reach their best


def depth_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row a depth and start, of one seed.

    Parameters
    ----------
    found : dict
        Of :meth:`refmg_validation.multilevel.experiment.Experiment.run`.

    Returns
    -------
    list of dict
        ``initial_loss`` and ``initial_validation`` before training at this depth, where the classifier of a
        random start is zero; ``classifier_loss`` and ``classifier_validation`` after iteration 0, which
        trains the classifier alone; ``early_validation``, the best up to iteration 5; ``best_validation`` of
        all iterations, and ``best_iteration``, the first to have it; ``reached``, 1 or 0, and work to reach
        the best of the random start at this depth, on this level (``work_here``) and with the levels before
        it (``work``); ``saving``, the random start's work over the latter. None where it was not reached. No
        row before the prolonged path has ended.
    """
    if PROLONGED not in found["records"]:
        return []
    rows = []
    costs = {
        name: with_costs(records, found["largest"], found["data"]["train"])
        for name, records in found["records"].items()
    }
    for name in costs:
        if not name.startswith(RANDOM):
            continue
        (shape, layers) = _level(costs[name])
        target = max(row["validation"] for row in iterations_on(costs[name], shape, layers))
        starts = {RANDOM: name} | {start: start for start in (PROLONGED, SHORT) if start in costs}
        here = [
            _row(start, found["records"][path], costs[path], (shape, layers, target))
            for start, path in starts.items()
        ]
        rows += [_with_saving(row, here[0]) for row in here]
    return rows


def _level(records: list[dict[str, Any]]) -> tuple[tuple[int, ...], int]:
    return tuple(records[0]["shape"]), records[0]["layers"]


def _row(
    start: str, records: list[dict[str, Any]], costs: list[dict[str, Any]], at: tuple[Any, int, float]
) -> dict[str, Any]:
    shape, layers, target = at
    rows = iterations_on(costs, shape, layers)
    initial = _initial(records, layers)
    reached, earlier = first_to(rows, target), before_first(rows, "total_work", costs)
    best = max(rows, key=lambda row: row["validation"])  # the first of equals
    return {
        "layers": layers,
        "start": start,
        "initial_loss": initial["loss"],
        "initial_validation": initial["validation_accuracy"],
        "classifier_loss": rows[0]["loss"],
        "classifier_validation": rows[0]["validation"],
        "early_validation": max(row["validation"] for row in rows if row["iteration"] <= EARLY),
        "best_validation": best["validation"],
        "best_iteration": best["iteration"],
        "reached": float(reached is not None),
        "iterations_to_target": reached and reached["iteration"],
        "work_here": reached and reached["total_work"] - earlier,
        "work": reached and reached["total_work"],
    }


def _initial(records: list[dict[str, Any]], layers: int) -> dict[str, Any]:
    """Return the scores before the first iteration at this depth."""
    switches = [r for r in records if r["kind"] == "switch" and r["layers"] == layers]
    scores: dict[str, Any] = (switches or records)[0]["after"]
    return scores


def _with_saving(row: dict[str, Any], random: dict[str, Any]) -> dict[str, Any]:
    return row | {"saving": row["work"] and random["work"] / row["work"]}


def depth_summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows over all seeds."""
    return over_seeds([depth_rows(found) for found in results], KEYS)


def depth_verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """Say at which depths and in how many seeds the paper's ordering holds, and what work was saved."""
    lines = []
    for layers in dict.fromkeys(row["layers"] for row in rows):
        by_start = {row["start"]: row for row in rows if row["layers"] == layers}
        lines += [f"{layers} layers, {said}" for said in _ordering(by_start[RANDOM], by_start[PROLONGED])]
        for start in (PROLONGED, SHORT):
            if start in by_start:
                lines.append(f"{layers} layers, {start}: {_saved(by_start[start])}")
    return lines


def _ordering(random: dict[str, Any], prolonged: dict[str, Any]) -> tuple[str, str, str]:
    lower = [_wins(random[key], prolonged[key]) for key in ("initial_loss", "classifier_loss")]
    keys = ("initial_validation", "classifier_validation", "early_validation")
    higher = [_wins(prolonged[key], random[key]) for key in keys]
    total = len(random["best_validation"]["values"])
    best = [row["best_iteration"]["mean"] for row in (prolonged, random)]
    return (
        f"of {total} seeds: the prolonged start has the lower initial loss "
        f"in {lower[0]} and the higher initial accuracy in {higher[0]}, against a classifier of zeros",
        f"the classifier fitted to both: the prolonged start has the lower loss in {lower[1]} and the higher "
        f"accuracy in {higher[1]}; the higher within {EARLY} iterations in {higher[2]}",
        f"the prolonged start has its best accuracy in iteration {best[0]:.1f} in the mean, the random start "
        f"in {best[1]:.1f}",
    )


def _wins(high: dict[str, Any], low: dict[str, Any]) -> int:
    return sum(a > b for a, b in zip(high["values"], low["values"], strict=True))


def _saved(row: dict[str, Any]) -> str:
    values = row["work"]["values"]
    reached = sum(value is not None for value in values)
    if not reached:
        return "never reached the best accuracy of the random start"
    return (
        f"reached the best accuracy of the random start in {reached} of {len(values)} seeds, which took "
        f"{row['saving']['mean']:.2f} times its work in the mean of those, shallower levels counted"
    )
