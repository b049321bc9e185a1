"""What studies of moved networks recorded, as tables."""

from __future__ import annotations

from typing import Any

from refmg_validation.doc_tables.markdown import both, paragraph, percent, plus_minus, points, table

Record = dict[str, Any]
SIZE, TARGETS = 64, {"coarse": 32, "fine": 128}
SEEN = (
    "(Recorded before each pair was measured on its own validation images: these had trained the first pair. "
    "Its column compares settings, but is no accuracy on new images.)"
)
SPECIAL = {
    "native": "native: trained at this resolution",
    "unchanged": "unchanged",
    "linear": '`"linear"`, the paper\'s',
    "images resized": "the other network, images resized to its grid",
}


def transfers(record: Record) -> list[str]:
    """Return the table of all transfers, best first, and what calibration loses."""
    rows = {row["network"]: row for row in record["rows"]}
    ends = ("native", "images resized")
    middle = sorted((n for n in rows if n not in ends), key=lambda n: -rows[n]["coarse_test"])
    lines = [[_label(name), *both(rows[name], "_test").split(" / ")] for name in (ends[0], *middle, ends[1])]
    native = rows["native"]
    best = rows[next(name for name in reversed(list(rows)) if name.startswith("calibrated"))]
    lost = [native["fine_test"] - best["coarse_test"], native["coarse_test"] - best["fine_test"]]
    said = (
        f"Calibrated networks lose {points(lost[:1])} to coarse and {points(lost[1:])} to fine against those "
        "that they came from."
    )
    return [*table(["network", "coarse images", "fine images"], lines), *paragraph(said)]


def _label(name: str) -> str:
    transfer, *rest = name.split(", ")
    return SPECIAL.get(name) or ", ".join([f'`"{transfer}"`', *rest])


def synthetic(record: Record) -> list[str]:
    """Return the table over exponents, thresholds and numbers of random images.

    Older records, which do not name a seed for each pair, measured all pairs on the images of one division.
    """
    weights = [found["regularization"] for found in record["found"]]
    head = [f"$\\alpha_W$ = {w['alpha_W']:g}, $\\alpha_0$ = {w['alpha_0']:g}" for w in weights]
    usual = record["found"][0]["rows"][0]["count"]
    lines = []
    for rows in zip(*(found["rows"] for found in record["found"]), strict=True):
        row = rows[0]
        count = "" if row["count"] == usual else f", {row['count']:,} images"
        lines.append([f"{row['exponent']:g}", f"{row['threshold']:g}{count}", *map(both, rows)])
    old = [] if all("seed" in found for found in record["found"]) else paragraph(SEEN)
    return [*table(["exponent", "threshold", *head], lines), *old]


def resnet18(record: Record) -> list[str]:
    """Return accuracies and seconds of the published network."""
    found = record["found"]
    lines = [[f"source, on {SIZE} x {SIZE}", percent(found["source"]), "", ""]]
    for way in found["coarse"]:
        scores = [found[direction][way] for direction in TARGETS]
        seconds = " / ".join(f"{score['seconds']:.1f}" for score in scores)
        lines.append([way, *(percent(score["test"]) for score in scores), seconds])
    return table(["network", *(f"{SIZE} to {size}" for size in TARGETS.values()), "seconds"], lines)


def photographs(record: Record) -> list[str]:
    """Return accuracies and agreement of the small residual network, over its seeds."""
    summary, seeds = record["summary"], len(record["rows"])
    timed = any("seconds" in score for score in summary["coarse"].values())
    parts = ["agrees", *(["seconds"] if timed else [])]
    head = ["network", *(name for size in TARGETS.values() for name in (f"{SIZE} to {size}", *parts))]
    first = [f"source, on {SIZE} x {SIZE}", _mean(summary["source"]["source"], seeds)]
    lines = [first + [""] * (len(head) - 2)]
    for name in summary["coarse"]:
        cells = [name]
        for direction in TARGETS:
            score = summary[direction][name]
            seconds = f"{score['seconds']:.1f}" if "seconds" in score else ""
            cells += [_mean(score, seeds), percent(score["agreement"]), *([seconds] if timed else [])]
        lines.append(cells)
    return table(head, lines)


def _mean(score: Record, seeds: int) -> str:
    return plus_minus(score["mean"], score["spread"] if seeds > 1 else None)
