"""Table 1: runtime, work and accuracies of every path, and what they say."""

from __future__ import annotations

from typing import Any

from refmg_validation.imagenet10.costs import image_flops
from refmg_validation.imagenet10.presets import ImageNetPreset
from refmg_validation.imagenet10.stages import FINE, Stage, paths_of
from refmg_validation.multilevel.spread import over_seeds

Rows = list[dict[str, Any]]
PAPER_RATIO = 43_882 / 59_122  # Table 1
PAPER = {FINE: ("59122 +- 7540", "76.47 +- 0.93"), "coarse to fine": ("43882 +- 3476", "82.67 +- 0.93")}
EARLY = (0, 1, 3)  # epochs on the finest grid after which accuracies are compared


def timed(chain: list[Stage], stages: dict[str, Any], preset: ImageNetPreset) -> Rows:
    """Return the records of all stages of a path, one after the other, with ``"elapsed"`` and ``"work"``.

    Work is in passes of the finest network over its training images, forward and back; what a switch of
    levels and early stopping need counts as time, not as work.
    """
    whole, rows = image_flops(preset.architecture), Rows()
    elapsed = work = processor = 0.0
    for stage in chain:
        share = image_flops(preset.architecture.on((stage.size,) * 2)) / whole
        for record in stages[stage.name]["records"]:
            elapsed += record["seconds"]
            processor += record["processor"]
            work += share * (record["kind"] == "epoch")
            costs = {"elapsed": elapsed, "elapsed_processor": processor, "work": work}
            rows.append(record | costs | {"size": stage.size})
    return rows


def taken(records: Rows) -> dict[str, Any]:
    """Return the record of the epoch whose network was taken: that of the lowest monitored loss."""
    return min((r for r in records if r["kind"] == "epoch"), key=lambda record: record["monitored"])


def path_row(name: str, last: Stage, found: dict[str, Any], preset: ImageNetPreset) -> dict[str, Any] | None:
    """Return the row of one path of one seed; None until all its stages have ended."""
    chain, stages = last.chain(), found["stages"]
    if any(stage.name not in stages for stage in chain):
        return None
    rows, records = timed(chain, stages, preset), stages[last.name]["records"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    early = {number: _after(records, number) for number in EARLY}
    return {
        "path": name,
        "seconds": rows[-1]["elapsed"],
        "processor seconds": rows[-1]["elapsed_processor"],
        "work": rows[-1]["work"],
        "epochs": float(len(epochs)),
        "epochs before": float(sum(row["kind"] == "epoch" for row in rows) - len(epochs)),
        "seconds before": rows[-1]["elapsed"] - sum(record["seconds"] for record in records),
        "at the cap": float(any(_at_the_cap(stages[stage.name]["records"], preset) for stage in chain)),
        "validation": taken(records)["validation"],
        "test": stages[last.name]["test"],
    } | {f"after {number}": value for number, value in early.items()}


def _at_the_cap(records: Rows, preset: ImageNetPreset) -> bool:
    """Return whether the largest number of epochs ended a training, not early stopping."""
    return sum(record["kind"] == "epoch" for record in records) >= preset.training.epochs


def _after(records: Rows, number: int) -> float | None:
    """Return the validation accuracy after so many epochs; that of the start after none."""
    return records[number]["validation"] if number < len(records) else None


def seed_rows(found: dict[str, Any], preset: ImageNetPreset) -> Rows:
    """Return the rows of one seed, with ratios to fine-only training; none before that has ended."""
    rows = [path_row(name, last, found, preset) for name, last in paths_of(preset).items()]
    done = [row for row in rows if row is not None]
    fine = next((row for row in done if row["path"] == FINE), None)
    if fine is None:
        return []
    return [
        row
        | {
            "time ratio": row["seconds"] / fine["seconds"],
            "processor ratio": row["processor seconds"] / fine["processor seconds"],
            "work ratio": row["work"] / fine["work"],
            "gain": row["test"] - fine["test"],
        }
        for row in done
    ]


def summary(results: list[dict[str, Any]], preset: ImageNetPreset) -> Rows:
    """Return the rows over all seeds, each number with mean, spread and values."""
    return over_seeds([seed_rows(found, preset) for found in results], ("path",))


def verdicts(rows: Rows) -> list[str]:
    """Say of each path whether it is as accurate as fine-only training, in which time; and what moving adds.

    Examples
    --------
    >>> verdicts([])
    ['The paper, on 224 x 224: accuracy 82.67 against 76.47 %, ratio of run times 0.742']
    """
    lines = [_verdict(row) for row in rows if row["path"] != FINE]
    by_name = {row["path"]: row for row in rows}
    base = by_name.get("unchanged + BN")
    if base is not None:
        lines += [_against(row, base) for row in rows if row["path"] not in (FINE, base["path"])]
    paper = "The paper, on 224 x 224: accuracy 82.67 against 76.47 %, ratio of run times"
    return [*lines, f"{paper} {PAPER_RATIO:.3f}"]


def _verdict(row: dict[str, Any]) -> str:
    gains, ratios = row["gain"]["values"], row["time ratio"]["values"]
    count, better = len(gains), sum(gain >= 0 for gain in gains)
    quick = sum(ratio <= PAPER_RATIO for ratio in ratios)
    both = sum(g >= 0 and r <= PAPER_RATIO for g, r in zip(gains, ratios, strict=True))
    capped = sum(row["at the cap"]["values"])
    cut = f"; cut off at the largest number of epochs in {capped:.0f}" if capped else ""
    return (
        f"{row['path']}: test accuracy {100 * row['gain']['mean']:+.1f} points against fine only, at least "
        f"as high in {better} of {count} splits; {row['time ratio']['mean']:.3f} of its time "
        f"({row['work ratio']['mean']:.3f} of its work), at most {PAPER_RATIO:.3f} in {quick}; "
        f"both in {both}{cut}"
    )


def _against(row: dict[str, Any], base: dict[str, Any]) -> str:
    words = []
    for number in EARLY:
        key = f"after {number}"
        pairs = [
            (mine, other)
            for mine, other in zip(row[key]["values"], base[key]["values"], strict=False)
            if mine is not None and other is not None
        ]
        if pairs:
            mean = sum(mine - other for mine, other in pairs) / len(pairs)
            words.append(f"{100 * mean:+.1f} after {number} epochs on the fine grid")
    last = [a - b for a, b in zip(row["test"]["values"], base["test"]["values"], strict=False)]
    words.append(f"{100 * sum(last) / len(last):+.1f} in the end (test)")
    return f"{row['path']} against {base['path']}, points of accuracy: {', '.join(words)}"
