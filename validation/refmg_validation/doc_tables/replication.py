"""Each number of the paper beside ours, from the records."""

from __future__ import annotations

from typing import Any

from refmg_validation.doc_tables.markdown import both, paragraph, percent, plus_minus, table
from refmg_validation.multilevel.spread import words

Record = dict[str, Any]
LEVELS = ("coarse", "fine")
# Paper, section 4, "Classification of Across Resolutions": validation accuracies in % on coarse and on fine
# images, as printed.
PAPER = {"native": ("98.28", "98.18"), "linear": ("94.9", "91.0"), "unchanged": ("84.1", "61.0")}
NAMES = {
    "native": "native: trained at this resolution",
    "linear": '`"linear"`, the paper\'s map',
    "unchanged": "stencils unchanged",
    "average": '`"average"`',
    "power-law": '`"power-law"`',
    "spectrum": '`"spectrum"`',
    "synthetic": '`"synthetic"`',
    "calibrated, 2000 images": '`"calibrated"`, 2,000 images',
    "images resized": "the other network, images resized",
}
COLUMNS = ["paper", "ours, validation", "ours, test"]


def example_1(record: Record) -> list[str]:
    """Return how far the restricted stencil is from the printed one."""
    check = next(check for check in record["checks"] if check["name"].startswith("Example 1 by 'linear'"))
    return [
        f"The coarse stencil differs from the printed one by at most {check['measured']:.5f}, where the "
        f"rounding of both printed stencils to two decimals allows {check['bound']:.4f}."
    ]


def resolutions(record: Record) -> list[str]:
    """Return accuracies across resolutions, mean and spread over the seeds, and whether the order holds."""
    summary, seeds = record["summary"], len(record["seeds"])
    weights = record["preset"]["training"]["regularization"]
    rows = []
    for name, label in NAMES.items():
        cells = [label]
        for place, level in enumerate(LEVELS):
            cells += [
                printed(name, place),
                *(_score(summary[name][f"{level}_{part}"]) for part in ("validation", "test")),
            ]
        rows.append(cells)
    head = ["network", *(f"{level} images: {column}" for level in LEVELS for column in COLUMNS)]
    said = (
        f"Mean of {seeds} seeds (± their standard deviation), $\\alpha_W$ = {weights['alpha_W']:g}, "
        f"$\\alpha_0$ = {weights['alpha_0']:g}. {order(summary)}"
    )
    return [*table(head, rows), *paragraph(said)]


def printed(name: str, place: int) -> str:
    """Return the paper's accuracy of a network on coarse (0) or fine (1) images, as printed.

    Examples
    --------
    >>> printed("linear", 1), printed("average", 1)
    ('91.0', '')
    """
    return PAPER[name][place] if name in PAPER else ""


def order(summary: Record) -> str:
    """Return by how much the paper's map beats unchanged stencils, in the paper and here."""
    ours = [
        summary["linear"][f"{n}_test"]["mean"] - summary["unchanged"][f"{n}_test"]["mean"] for n in LEVELS
    ]
    paper = [float(a) - float(b) for a, b in zip(PAPER["linear"], PAPER["unchanged"], strict=True)]
    verdict = {0: "holds on neither grid", 1: "holds on one grid", 2: "holds on both grids"}
    gains = [
        f"{100 * gain:+.1f} on {level} images, with a gain in {_won(summary, level)} (paper {theirs:+.1f})"
        for level, gain, theirs in zip(LEVELS, ours, paper, strict=True)
    ]
    return (
        f'Against unchanged stencils, `"linear"` gains in points {" and ".join(gains)}: in the mean '
        f"the paper's order {verdict[sum(gain > 0 for gain in ours)]}."
    )


def _won(summary: Record, level: str) -> str:
    moved, kept = (summary[name][f"{level}_test"]["values"] for name in ("linear", "unchanged"))
    return f"{sum(a > b for a, b in zip(moved, kept, strict=True))} of {len(moved)} seeds"


def _score(score: Record) -> str:
    return plus_minus(score["mean"], score.get("spread"))


def regularization(record: Record) -> list[str]:
    """Return the sweep over the weights of two regularisers."""
    names = ("native", "linear", "average", "power-law", "unchanged", "images resized")
    rows = [
        [
            f"{found['alpha_W']:g}",
            f"{found['alpha_0']:g}",
            *(both(found["validation"][name]) for name in names),
        ]
        for found in record["found"]
    ]
    head = ["$\\alpha_W$", "$\\alpha_0$", "native", '`"linear"`', '`"average"`', '`"power-law"`', "unchanged"]
    return [
        *table([*head, "images resized"], rows),
        *paragraph(*(f"{line}." for line in record["orderings"])),
    ]


def depths(record: Record) -> list[str]:
    """Return what a prolonged start gives at every depth, beside a random one."""
    head = ["layers", "start", "loss, accuracy % at the switch", "after the classifier alone"]
    rows = [
        [
            str(row["layers"]),
            row["start"],
            f"{_mean(row, 'initial_loss'):.3f}, {percent(_mean(row, 'initial_validation'))}",
            f"{_mean(row, 'classifier_loss'):.3f}, {percent(_mean(row, 'classifier_validation'))}",
            percent(_mean(row, "early_validation")),
            percent(_mean(row, "best_validation")),
            f"{_mean(row, 'best_iteration'):g}",
            words({**row["saving"], "spread": None}, digits=2),
        ]
        for row in record["summary"]
    ]
    lines = table([*head, "best of 5, %", "best, %", "in iteration", "saving"], rows)
    return [*lines, *paragraph(_seeds(record), *verdicts(record["summary"]))]


def verdicts(summary: list[Record]) -> list[str]:
    """Return at how many depths what the paper says of Figure 2 holds."""
    starts = {
        name: {r["layers"]: r for r in summary if r["start"] == name} for name in ("random", "prolonged")
    }
    pairs = [(starts["random"][n], starts["prolonged"][n]) for n in starts["prolonged"]]
    lower = sum(_mean(p, "classifier_loss") < _mean(r, "classifier_loss") for r, p in pairs)
    higher = sum(_mean(p, "classifier_validation") > _mean(r, "classifier_validation") for r, p in pairs)
    sooner = sum(_mean(p, "best_iteration") < _mean(r, "best_iteration") for r, p in pairs)
    better = sum(_mean(p, "best_validation") >= _mean(r, "best_validation") for r, p in pairs)
    return [
        f"Of {len(pairs)} depths, with the classifier fitted to both starts, the prolonged one has the lower "
        f"loss at {lower} and the higher validation accuracy at {higher}.",
        f"It has its best accuracy in an earlier iteration at {sooner}, and a best accuracy at least as high "
        f"at {better}.",
    ]


def pyramid(record: Record) -> list[str]:
    """Return what each path through the levels costs to the best accuracy of fine-only training."""
    rows = []
    for row in record["summary"]:
        best, test = (percent(_mean(row, part)) for part in ("best_validation", "test"))
        work = [_number(_mean(row, part), 1) for part in ("work", "work_to_target")]
        ratios = [_number(_mean(row, part), 3) for part in ("work_ratio", "time_ratio")]
        hits = row["reached"]["values"]
        rows.append([row["path"], best, test, work[0], f"{sum(hits):.0f} of {len(hits)}", work[1], *ratios])
    head = [
        "path",
        "best validation, %",
        "test, %",
        "work in all",
        "target reached in",
        "work to the target",
        "ratio",
        "time ratio",
    ]
    return [*table(head, rows), *paragraph(_seeds(record))]


def starts(record: Record) -> list[str]:
    """Return test accuracies of further training from moved and from random networks."""
    lines = []
    for name in record["found"]["coarse"]:
        cells = [name]
        for level in LEVELS:
            by_step = {row["after"]: row["test"] for row in record["found"][level][name]}
            cells += [percent(by_step[step]) for step in ("moved", 0, 1, 5)]
        lines.append(cells)
    steps = ("moved", "0", "1", "5")
    return table(["start", *(f"{level}: {step}" for level in LEVELS for step in steps)], lines)


def any_run(record: Record) -> list[str]:
    """Return the tables and notes of a ``run.json`` as they are."""
    lines = []
    for found in record["tables"]:
        lines += [
            f"{found['title']}:",
            "",
            *table(found["columns"], [[_cell(c) for c in row] for row in found["rows"]]),
        ]
        lines += [""]
    return [*lines, *(f"- {note}" for note in record["notes"])]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _mean(row: Record, name: str) -> Any:
    """Return the mean over the seeds that have the number, None where none has."""
    return row[name]["mean"]


def _seeds(record: Record) -> str:
    settings, count = record["settings"], len(record["seeds"])
    images, depths = settings["data"][0], ", ".join(map(str, settings["depths"]))
    spread = "" if count > 1 else ", so that nothing is known of the spread"
    missing = record.get("incomplete")
    return (
        f"{images['name'][:1].upper()}{images['name'][1:]}, {images['train']:,} training images, depths of "
        f"{depths} layers, {settings['training']['iterations']} iterations a level; seeds: {count}{spread}. "
        f"{f'**Not all of it was run** ({missing}). ' if missing else ''}"
        f"Recorded by `{record['command']}`."
    )
