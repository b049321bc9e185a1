"""The command ``refmg``."""

from __future__ import annotations

from typing import Annotated

import typer

from refmg_backends import __version__
from refmg_validation.cli import conformance, reproduce
from refmg_validation.cli.checking import bench, info, verify
from refmg_validation.cli.files import compare, fetch, report, transfer
from refmg_validation.running import run

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(reproduce.commands, name="reproduce")
app.add_typer(conformance.commands, name="conformance")
for command in (info, fetch, verify, bench, transfer, report, compare):
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def begin(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Learning across scales."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command, see :func:`refmg_validation.running.run`."""
    return run(app, arguments)
