"""The command ``refmg transfer``: someone's model file moved to another resolution."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from refmg.atomic import write_atomically
from refmg.checkpoint import EXTRA, TENSORS
from refmg.model_file import Entry, ModelFile, read_model
from refmg.model_transfer import (
    ResolutionChange,
    TensorRecord,
    TensorSelection,
    transfer_tensors,
)
from refmg.stencil_map import ClosureError
from refmg.stencil_maps import CALIBRATED, SPECTRUM, SYNTHETIC
from refmg.tensor_selection import STENCIL_AXES
from refmg.transfer import Shape
from refmg_backends import RefmgError

SIZE = 64  # cells a side of pictures
PICKLED = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt")  # names that promise another format
BATCH_NORM = ("running_mean", "running_var")
# Measured: docs/moving-models.md.
ADVICE = (
    "Batch-norm statistics are kept: they are those of the old resolution. Re-estimate them on images of "
    "the new one: refmg.torch.reestimate_batch_norm(model, images). For networks trained on photographs, "
    "unchanged stencils with such statistics did better than any map of single stencils, and "
    "refmg.torch.transfer_model, which looks at images, better still."
)


@dataclass(frozen=True)
class MoveRequest:
    """What the command was asked to do.

    Parameters
    ----------
    source, output : path
    change : ResolutionChange
    selection : TensorSelection
    force : bool
        Write over what exists.
    record : path, optional
        Where what was done is going to be recorded.
    """

    source: Path
    output: Path
    change: ResolutionChange
    selection: TensorSelection
    force: bool = False
    record: Path | None = None

    def check_places(self) -> None:
        """Refuse to write over the model, over the other output, or, unless forced, over anything.

        Raises
        ------
        RefmgError
            Before anything is written.
        """
        if self.record is not None and any(_same(self.record, path) for path in (self.source, self.output)):
            raise RefmgError(f"found {self.record} both as a model and as the record; expected two names")
        if self.output.suffix in PICKLED:
            raise RefmgError(
                f"found {self.output}; a safetensors file is written: expected another ending, as in "
                f"{self.output.with_suffix('.safetensors')}"
            )
        for path in (self.output, self.record):
            if path is not None and path.exists() and not self.force:
                raise RefmgError(f"found {path} already there; expected a new name, or --force")


def _same(one: Path, other: Path) -> bool:
    """Say whether two names are of one file, links included."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


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


def check_transfer(name: str, images: Path | None, size: int | None) -> None:
    """Refuse what the command cannot do, or would not heed.

    Parameters
    ----------
    name : str
        Of the transfer.
    images : path, optional
        Folder of pictures.
    size : int, optional
        Cells a side of the pictures.

    Raises
    ------
    RefmgError
        For a transfer that needs the network and not its file alone, pictures that the transfer does not
        look at, or their size without any.
    """
    if name in (CALIBRATED, SYNTHETIC):
        raise RefmgError(
            f"found transfer {name!r}, which runs the network; a file has its tensors alone: take "
            "refmg.torch.transfer_model(model, images) in Python"
        )
    if images is None and name == SPECTRUM:
        raise RefmgError(
            f"found --transfer {SPECTRUM} without pictures; expected --images to name their folder"
        )
    if images is not None and name != SPECTRUM:
        raise RefmgError(f"found --images, which {name!r} does not look at; expected --transfer {SPECTRUM}")
    if size is not None and images is None:
        raise RefmgError("found --size without pictures; expected --images to name their folder")


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
    request.check_places()
    file = read_model(request.source)
    _refuse_network(request.source, file)
    readable = {name: file.read(name) for name in file.entries if file.floating(name)}
    others = [_unread(name, entry) for name, entry in file.entries.items() if name not in readable]
    try:
        moved, records = transfer_tensors(readable, request.change, request.selection, others)
    except ClosureError as error:
        raise RefmgError(f"{error} (on the command line: --closure least-squares)") from error
    write_atomically(request.output, file.replaced(moved))
    return _all_records(file, {record.name: record for record in (*records, *others)})


def _refuse_network(source: Path, file: ModelFile) -> None:
    """Refuse a network of refmg itself: its stencils have other names, and its classifier has to move too."""
    if {name for name in file.entries if not name.startswith(EXTRA)} == set(TENSORS):
        raise RefmgError(
            f"{source}: found a network of refmg; expected another model: take refmg.load_network and "
            "refmg.transfer_network in Python, which move its classifier as well"
        )


def _unread(name: str, entry: Entry) -> TensorRecord:
    """Return the record of a tensor whose type no map of stencils is for, such as float8 or int8."""
    if len(entry.shape) in STENCIL_AXES:
        reason = f"type {entry.dtype}"
    else:
        reason = "vector or matrix" if entry.dtype.startswith("F") else "not floating"
    return TensorRecord(name, entry.shape, entry.dtype, False, reason)


def _all_records(file: ModelFile, known: dict[str, TensorRecord]) -> list[TensorRecord]:
    return [
        TensorRecord(**asdict(known[name]) | {"dtype": entry.dtype}) for name, entry in file.entries.items()
    ]


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
