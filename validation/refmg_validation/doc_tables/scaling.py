"""What ``refmg bench --scaling`` recorded: times beside the model's, what was to be reached, sums alone."""

from __future__ import annotations

from typing import Any

from refmg_validation.bench.scaling.judging import found_in_words
from refmg_validation.bench.scaling.message_cost import in_bytes, in_words
from refmg_validation.bench.scaling.report import curve_lines, times_of
from refmg_validation.bench.scaling.run import curves_of
from refmg_validation.doc_tables.markdown import paragraph, table

Record = dict[str, Any]


def scaling(record: Record) -> list[str]:
    """Return both tables, what sums took, and where communication takes a tenth."""
    work, n, repeats = record["workload"], record["ranks"], record.get("repeats", 1)
    again = f", {repeats} times in turn, and medians of these" if repeats > 1 else ""
    head = [
        "",
        "alone",
        f"{n} side by side",
        f"{n} together, weak",
        "model",
        f"{n} together, strong",
        "model",
    ]
    return [
        f"{work['examples']} examples a rank, medians of {work['repeats']}{again}:",
        "",
        *table(head, [_times(row) for row in record["scaling"]]),
        "",
        *table(["", "found", "to reach", ""], [_judged(row) for row in record["judged"]]),
        *paragraph(*_sums(record)),
        # Of the constants that were measured; the curves in the record may be of an older model.
        *paragraph(*(f"- {line}." for line in curve_lines(record | {"curves": curves_of(record)}))),
    ]


def _times(row: Record) -> list[str]:
    return [f"{row['operation']}, ms", *(f"{1e3 * t:.1f}" for t in times_of(row))]


def _judged(row: Record) -> list[str]:
    found, words = found_in_words(row)
    return [row["what"], found, f"`{row['to reach']}`", words.replace("missed", "**missed**")]


def _sums(record: Record) -> list[str]:
    rows, cost = record["messages"], record["costs"][0]
    shown = sorted({0, len(rows) // 3, 2 * len(rows) // 3, len(rows) - 1})
    took = ", ".join(f"{in_bytes(rows[k]['bytes'])} {1e3 * rows[k]['seconds']:.3g} ms" for k in shown)
    return [
        f"Of {len(rows)} sums that were timed for themselves ({took}), the model has these constants: "
        f"{in_words(cost['ranges'])}.",
        f"By one alpha and one beta for all lengths the worst would be missed by "
        f"{record['misfit of sums, one range']:.2f}.",
    ]
