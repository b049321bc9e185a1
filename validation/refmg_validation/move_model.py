"""The command ``refmg transfer``: someone's model file moved to another resolution."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from refmg.atomic import write_atomically
from refmg.model_file import ModelFile, read_model
from refmg.model_transfer import ResolutionChange, TensorRecord, TensorSelection, transfer_tensors
from refmg.transfer import Shape
from refmg_backends import RefmgError

BATCH_NORM = ("running_mean", "running_var")
# Measured: docs/moving-models.md.
ADVICE = (
    "Batch-norm statistics are kept: they are those of the old resolution. Re-estimate them on images of "
    "the new one: refmg.torch.reestimate_batch_norm(model, images). For networks with ReLU and batch norm, "
    "unchanged stencils with such statistics did better than any map of single stencils, and "
    "refmg.torch.transfer_model, which looks at images, better still."
)


@dataclass(frozen=True)
class MoveRequest:
    """What the command was asked to do."""

    source: Path
    output: Path
    change: ResolutionChange
    selection: TensorSelection
    force: bool = False


def parse_factor(text: str) -> int | Shape:
    """Return the factor of ``"2"`` or, one an axis, ``"2,2,1"``.

    Raises
    ------
    RefmgError
        If a part is no positive integer, or all are 1.

    Examples
    --------
    >>> parse_factor("2"), parse_factor("2,2,1")
    (2, (2, 2, 1))
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts) or {int(p) for p in parts} == {1}:
        raise RefmgError(f"found factor {text!r}; expected 2 or more, or one for each axis, such as 2,2,1")
    factors = tuple(int(part) for part in parts)
    return factors if len(factors) > 1 else factors[0]


def move_model(request: MoveRequest) -> list[TensorRecord]:
    """Read a model, move its stencils, write it; nothing is written if anything is wrong.

    Returns
    -------
    list of TensorRecord
        One a tensor, in the order of the file.

    Raises
    ------
    RefmgError
        For a file, pattern, factor or stencil that does not fit, or an output that exists.
    """
    if request.output.exists() and not request.force:
        raise RefmgError(f"found {request.output} already there; expected a new name, or --force")
    file = read_model(request.source)
    readable = {name: file.read(name) for name in file.entries if file.floating(name)}
    moved, records = transfer_tensors(readable, request.change, request.selection)
    write_atomically(request.output, file.replaced(moved))
    return _all_records(file, {record.name: record for record in records})


def _all_records(file: ModelFile, known: dict[str, TensorRecord]) -> list[TensorRecord]:
    records = []
    for name, entry in file.entries.items():
        record = known.get(name) or TensorRecord(name, entry.shape, entry.dtype, False, "not floating")
        records.append(TensorRecord(**asdict(record) | {"dtype": entry.dtype}))
    return records


# Reasons to keep what nobody takes for a stencil: with many such tensors, one line tells of all of them.
OBVIOUS = ("vector or matrix", "not floating")
LONG = 24


def records_table(records: list[TensorRecord], title: str) -> Table:
    """Return one row a tensor; in a long table, one line for all vectors, matrices and integers."""
    long = len(records) > LONG
    shown = [r for r in records if not (long and r.reason in OBVIOUS)]
    hidden = len(records) - len(shown)
    table = Table(title=title)
    for name in ("tensor", "shape", "type", "", "why", "norm grows by"):
        justify: Any = "right" if name == "norm grows by" else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for r in shown:
        shape = " x ".join(map(str, r.shape)) or "scalar"
        row = ("moved", r.reason, f"{r.growth:.3f}") if r.moved else ("kept", r.reason, "")
        table.add_row(r.name, shape, r.dtype, *row, style=None if r.moved else "dim")
    if hidden:
        table.add_row(f"{hidden} others", "", "", "kept", "no stencils", "", style="dim")
    return table


def summary(records: list[TensorRecord]) -> list[str]:
    """Return what to say below the table."""
    moved = sum(record.moved for record in records)
    lines = [f"{moved} of {len(records)} tensors moved; the others are the same to the last bit."]
    statistics = any(record.name.endswith(BATCH_NORM) for record in records)
    return [*lines, *([ADVICE] if statistics else [])]


def as_json(request: MoveRequest, records: list[TensorRecord]) -> dict[str, Any]:
    """Return what to record."""
    change = request.change
    settings = {"factor": change.factor, "to": change.direction, "transfer": change.name}
    settings["closure"] = change.closure
    return settings | {"tensors": [asdict(record) for record in records]}
