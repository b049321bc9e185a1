"""The commands ``refmg reproduce``: those of one network or two, and all of them in one group."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refmg_backends import RefmgError  # not from refmg: the help needs no mathematics
from refmg_validation.cli.levels import depth, imagenet10, pyramid
from refmg_validation.cli.options import Data, Output, Resume, Sums
from refmg_validation.terminal import console as _console

commands = typer.Typer(help="Reproduce a result of the paper.", no_args_is_help=True)


def example1(data: Data = None, output: Output = Path("example1-output")) -> None:
    """Print Example 1 for every named pair and draw Figure 1 from a real digit."""
    from refmg.data import load_images
    from refmg_validation.example1 import compare_all
    from refmg_validation.figures import draw_figure1
    from refmg_validation.records import write_figure
    from refmg_validation.report import example1_table

    comparisons = compare_all()
    console = _console()
    console.print(example1_table(comparisons))
    names = " and ".join(repr(c.transfer) for c in comparisons if c.explains)
    console.print(f"The paper's pair has the composite R, P of {names}: both move stencils alike.")
    images = load_images(data, "test")
    write_figure(output / "figure1.png", draw_figure1(images.take([int((images.labels == 3).argmax())])))
    console.print(f"Figure 1 drawn from a digit of {images.name}: {output / 'figure1.png'}")


def resolution(
    data: Data = None,
    preset: Annotated[str, typer.Option(help="small or paper.")] = "small",
    transfer: Annotated[
        list[str] | None, typer.Option(help="How to move a network; may be given again; or all.")
    ] = None,
    regularization: Annotated[str, typer.Option(help="weak or strong.")] = "weak",
    seed: Annotated[int, typer.Option(help="Of division, initial stencils, subsamples.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Runs, from --seed on: mean and spread.")] = 1,
    output: Output = Path("resolution-output"),
    resume: Resume = False,
    deterministic: Sums = None,
) -> None:
    """Train at two resolutions, move each network to the other, and print the paper's table.

    The whole table, for one regularisation: refmg reproduce resolution --preset paper --data DIR
    --transfer all --seeds 5 --regularization weak|strong --output OUT
    """
    from refmg import network_transfer_names
    from refmg_backends import one_of
    from refmg_validation import resolution_command
    from refmg_validation.presets import named_preset
    from refmg_validation.ranks import preset_sums

    chosen, names = named_preset(preset, regularization), network_transfer_names()
    transfers = transfer or ["linear"]
    for name in transfers:
        if name not in (*names, "all"):
            raise RefmgError(one_of("transfer", name, [*names, "all"]))
    transfers = list(names) if "all" in transfers else transfers
    request = resolution_command.Request(chosen, data, transfers, output, resume)
    with preset_sums(preset, deterministic):
        if seeds == 1:
            resolution_command.one_seed(request, seed, _console())
        else:
            resolution_command.several_seeds(request, range(seed, seed + seeds), _console())


for command in (example1, resolution, depth, pyramid, imagenet10):
    commands.command()(command)
