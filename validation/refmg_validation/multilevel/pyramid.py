"""Coarse to fine, shallow to deep and both at once, against training the fine network alone."""

from __future__ import annotations

from typing import Any

from refmg_validation.multilevel.costs import before_first, first_to, iterations_on, with_costs
from refmg_validation.multilevel.paths import FINE
from refmg_validation.multilevel.spread import over_seeds

KEYS = ("path",)
PAPER_RATIO = 43_882 / 59_122  # of run times, Table 1: ImageNet-10


def pyramid_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row a path, of one seed.

    Parameters
    ----------
    found : dict
        Of :meth:`refmg_validation.multilevel.experiment.Experiment.run`.

    Returns
    -------
    list of dict
        ``seconds`` and ``work`` of the whole path; ``best_validation`` on the last level and ``test`` at the
        end; ``reached``, 1 or 0, and seconds and work until the last level first had ``target``, the best
        accuracy of fine-only training (``seconds_to_target``, ``work_to_target``), and their ratios to those
        of fine-only training. None where it was not reached. No row before fine-only training has ended.
    """
    if FINE not in found["records"]:
        return []
    largest, records = found["largest"], found["records"]
    costs = {name: with_costs(rows, largest, found["data"]["train"]) for name, rows in records.items()}
    last = {name: iterations_on(rows, largest.shape, largest.layers) for name, rows in costs.items()}
    target = max(row["validation"] for row in last[FINE])
    fine = first_to(last[FINE], target)
    assert fine is not None
    rows = []
    for name in costs:
        reached = first_to(last[name], target)
        rows.append(
            {
                "path": name,
                "seconds": costs[name][-1]["elapsed"],
                "work": costs[name][-1]["total_work"],
                "seconds_before_last_level": before_first(last[name], "elapsed", costs[name]),
                "best_validation": max(row["validation"] for row in last[name]),
                "test": records[name][-1]["test"],
                "target": target,
                "reached": float(reached is not None),
                "seconds_to_target": reached and reached["elapsed"],
                "time_ratio": reached and reached["elapsed"] / fine["elapsed"],
                "work_to_target": reached and reached["total_work"],
                "work_ratio": reached and reached["total_work"] / fine["total_work"],
            }
        )
    return rows


def pyramid_summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows over all seeds."""
    return over_seeds([pyramid_rows(found) for found in results], KEYS)


def pyramid_verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """Say for each path whether it reached the accuracy of fine-only training, and in which time."""
    lines = []
    for row in rows:
        if row["path"] == FINE:
            continue
        ratios = row["time_ratio"]
        reached = sum(value is not None for value in ratios["values"])
        said = f"{row['path']}: reached the best accuracy of fine-only training in {reached} of "
        said += f"{len(ratios['values'])} seeds"
        if reached:
            said += f", in {ratios['mean']:.3f} of its time and {row['work_ratio']['mean']:.3f} of its work"
            said += " in the mean of those"
        lines.append(said)
    return [*lines, f"The paper's ratio of times, on ImageNet-10: {PAPER_RATIO:.3f}"]
