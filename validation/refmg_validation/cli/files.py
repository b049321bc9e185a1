"""The commands that make a file of given ones: ``fetch``, ``transfer``, ``report`` and ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refmg_validation.cli.options import Deterministic, Output
from refmg_validation.terminal import console as _console

Page = Annotated[Path | None, typer.Option("--output", "-o", help="The page, an HTML file.")]


def fetch(output: Output = Path("mnist")) -> None:
    """Download MNIST, checked by sha256."""
    from refmg.data import fetch_mnist

    print(f"MNIST is in {fetch_mnist(output)}")


def transfer(
    model: Annotated[Path, typer.Argument(help="The model, a safetensors file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The moved model.")],
    to: Annotated[str, typer.Option(help="coarse or fine: where the moved model shall work.")],
    factor: Annotated[str, typer.Option(help="Between the resolutions: 2, or one an axis, 2,2,1.")] = "2",
    transfer: Annotated[str, typer.Option(help="Name of the map of stencils.")] = "power-law",
    include: Annotated[
        list[str] | None, typer.Option(help="Only tensors of these names, as layer1.*")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Keep tensors of these names.")] = None,
    closure: Annotated[
        str, typer.Option(help="exact or least-squares: for pairs that do not close.")
    ] = "exact",
    images: Annotated[
        Path | None, typer.Option(help="Folder of pictures, for the transfer spectrum.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Cells a side of the pictures on the fine grid; 64 by default.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Record what was done in this file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over existing files.")] = False,
    deterministic: Deterministic = False,
) -> None:
    """Move the convolution stencils of a trained model to another resolution."""
    from refmg.model_transfer import ResolutionChange, TensorSelection
    from refmg_validation import move_model
    from refmg_validation.pictures import load_pictures
    from refmg_validation.ranks import once, summing
    from refmg_validation.records import provenance, write_json

    move_model.check_transfer(transfer, images, size)
    with summing(deterministic):
        pictures = None if images is None else load_pictures(images, size or move_model.SIZE)
        change = ResolutionChange(move_model.parse_factor(factor), to, transfer, closure, pictures)
    selection = TensorSelection(include or (), exclude or ())
    request = move_model.MoveRequest(model, output, change, selection, force, json)
    records, console = once(lambda: move_model.move_model(request)), _console()
    console.print(
        move_model.records_table(records, f"{model} moved by {transfer!r}, factor {factor}, to {to}")
    )
    for line in move_model.summary(records):
        console.print(line)
    if json is not None:
        write_json(json, provenance() | move_model.as_json(request, records))


def report(
    folder: Annotated[Path, typer.Argument(help="Output folder of an experiment.")], output: Page = None
) -> None:
    """Write a run as one HTML page: figures, tables, settings; DIR/report.html by default."""
    from refmg_validation.html_report import report_page

    _write_page(output or folder / "report.html", report_page(folder))


def compare(
    first: Annotated[Path, typer.Argument(help="Output folder of run A.")],
    second: Annotated[Path, typer.Argument(help="Output folder of run B.")],
    output: Page = None,
) -> None:
    """Write two runs side by side as one HTML page; compare.html by default."""
    from refmg_validation.html_report import compare_page

    _write_page(output or Path("compare.html"), compare_page(first, second))


def _write_page(path: Path, page: str) -> None:
    from refmg.atomic import write_atomically

    write_atomically(path, page.encode())
    print(f"open {path} in a browser")
