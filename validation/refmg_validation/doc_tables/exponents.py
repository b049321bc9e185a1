"""What ``exponents/`` recorded: the exponent of the power law, the classifier's rule, numbers of images."""

from __future__ import annotations

from typing import Any

from refmg_validation.doc_tables.markdown import both, paragraph, percent, points, table

Record = dict[str, Any]
LEVELS = ("coarse", "fine")
FITTED = "p fitted to fine images"
SHOWN = {
    "native": "native",
    "unchanged": "unchanged",
    "linear": '`"linear"`',
    "average": '`"average"`',
    "p = 0": "power law, p = 0",
    "p = 1": "p = 1",
    "p = 1.5": "p = 1.5",
    "p = 2": 'p = 2, `"power-law"`',
    FITTED: "p = {}, fitted to the fine images",
    "p = 3": "p = 3",
    "p = 4": "p = 4",
    "power-law-joint": '`"power-law-joint"`',
    "spectrum": '`"spectrum"`',
    "calibrated": '[`"calibrated"`](moving-networks.md)',
}


def exponents(record: Record) -> list[str]:
    """Return the table of the study over the exponent, and what it says of the power law."""
    found: dict[str, dict[str, Record]] = {
        regime: {row["transfer"]: row for row in rows} for regime, rows in record["found"].items()
    }
    first = next(iter(found.values()))
    fitted = next(name for name in first if name.startswith(FITTED))
    names = {fitted if name == FITTED else name: label for name, label in SHOWN.items()}
    rows = [
        [label.format(fitted.rpartition(" ")[2]), *(both(by_name[name]) for by_name in found.values())]
        for name, label in names.items()
    ]
    return [*table(["transfer", *found], rows), *paragraph(*_of_the_power_law(found))]


def _gains(found: dict[str, dict[str, Record]], ours: str, theirs: str) -> list[float]:
    return [rows[ours][level] - rows[theirs][level] for rows in found.values() for level in LEVELS]


def _of_the_power_law(found: dict[str, dict[str, Record]]) -> list[str]:
    linear, joint = (_gains(found, "p = 2", name) for name in ("linear", "power-law-joint"))
    unchanged = _gains(found, "p = 2", "unchanged")
    short = [
        max(row[level] for row in rows.values() if "exponent" in row) - rows["p = 2"][level]
        for rows in found.values()
        for level in LEVELS
    ]
    infinite = [
        [rows["p = 2"][level] - rows["p = 2, constant = 1"][level] for rows in found.values()]
        for level in LEVELS
    ]
    return [
        f'`"power-law"` beats the paper\'s map in {_won(linear)} of {len(linear)} cases ({_range(linear)}).',
        f"p = 2 is within {points([max(short)])} of the best exponent in each.",
        f"It beats unchanged stencils in {_won(unchanged)} of {len(unchanged)} ({_range(unchanged)}),",
        f'and `"power-law-joint"` in {_won(joint)} ({_range(joint)}).',
        "Infinite power of constants against 1, in units of the lowest frequency's: "
        f"{_range(infinite[0])} from fine to coarse, {_range(infinite[1])} from coarse to fine.",
    ]


def _won(differences: list[float]) -> int:
    return sum(d > 1e-9 for d in differences)


def _range(differences: list[float]) -> str:
    return f"{100 * min(differences):+.1f} to {100 * max(differences):+.1f} points"


def classifier_rule(record: Record) -> list[str]:
    """Return by how much each way to move a classifier is better than the plain one."""
    rows = [row for regime in record["found"].values() for row in regime["classifier"]]
    down = [row["best P^T / f^d"] - row["R"] for row in rows if row["images"] == "coarse"]
    up = [row["best P"] - row["P"] for row in rows if row["images"] == "fine"]
    return [
        "On validation images, $f^{-d} P^T W_h$ was better than $R W_h$ in "
        f"{_won(down)} of {len(down)} cases ({_range(down)});",
        f"prolonging with the best P was better than with the linear one in {_won(up)} of {len(up)} "
        f"({_range(up)}), so the linear P stays.",
    ]


def image_counts(record: Record) -> list[str]:
    """Return the table over numbers of images, parts that are calibrated, and priors."""
    natives = record["natives"]
    wanted: dict[str, Record] = {f"{m:,} images": {"images": m} for m in (50, 200, 2000)}
    wanted["2,000 images, classifier only (`ridge=1e8`)"] = {"ridge": 1e8}
    wanted["2,000 images, stencils only (`classifier_ridge=1e8`)"] = {"classifier_ridge": 1e8}
    wanted['2,000 images, prior `"unchanged"`'] = {"prior": "unchanged"}
    rows = [["native", *(both(natives[regime]) for regime in record["found"])]]
    for label, settings in wanted.items():
        rows.append(
            [label, *(both(_row(found["calibration"], settings)) for found in record["found"].values())]
        )
    return [*table(["", *record["found"]], rows), *paragraph(*_copies(record))]


def _row(rows: list[Record], settings: Record) -> Record:
    """Return the row with these settings, the others as they are by default."""
    usual = {"prior": "power-law", "images": 2000, "ridge": 0.01, "classifier_ridge": 0.01, "smoothness": 0.5}
    return next(row for row in rows if all(row[k] == v for k, v in (usual | settings).items()))


def _copies(record: Record) -> list[str]:
    regime = next(iter(record["found"]))
    native, copy = record["natives"][regime], _row(record["found"][regime]["calibration"], {})
    return [
        f"A calibrated network repeats the one that it came from: with {regime}, the coarse network has "
        f"{percent(native['coarse'])} % itself, its copy on fine images {percent(copy['fine'])} %;",
        f"the fine network has {percent(native['fine'])} %, its copy on coarse images "
        f"{percent(copy['coarse'])} %.",
    ]
