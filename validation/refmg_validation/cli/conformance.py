"""The commands ``refmg conformance``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refmg_validation.terminal import console

commands = typer.Typer(help="Test an implementation of your own.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the exported cases.")]


@commands.command()
def export(folder: Folder, level: Annotated[str, typer.Option(help="core or full.")] = "full") -> None:
    """Write inputs and expected outputs as .npy files with a manifest.json, for any language."""
    from refmg_validation.conformance.export import OUTPUTS, export

    number = export(folder, level)
    print(f"{number} cases are in {folder}; write your outputs as {folder / OUTPUTS}/CASE/NAME.npy")


@commands.command()
def check(
    folder: Folder,
    dtype: Annotated[
        str | None, typer.Option(help="float32 or float64: in which was computed; REFMG_DTYPE, else float64.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Record the outcomes in this file.")] = None,
) -> int:
    """Grade the outputs written for exported cases; exit status 1 if one is wrong or none passes."""
    from refmg_validation.conformance.check_command import check_folder

    return check_folder(folder, dtype, json, console())


@commands.command()
def run(
    module: Annotated[str, typer.Argument(help="The adapter: my.module, my.module:Class or my_file.py.")],
    level: Annotated[str, typer.Option(help="core or full.")] = "full",
    dtype: Annotated[str | None, typer.Option(help="float32 or float64; REFMG_DTYPE, else float64.")] = None,
    xfails: Annotated[
        Path | None, typer.Option(help="Cases known to fail, one a line, # and the reason behind.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Record the outcomes in this file.")] = None,
) -> int:
    """Test an implementation: exit status 1 if a case is wrong or passes unexpectedly, or if none passes."""
    from refmg_validation.conformance.run_command import Request

    return Request(module, level, dtype, xfails, json).run(console())


@commands.command()
def functions(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Of functions; else all.")
    ] = None,
) -> None:
    """Print what an implementation may have: functions, their arguments and results."""
    from refmg_validation.conformance.page import function_lines

    for line in function_lines(names or []):
        print(line)
