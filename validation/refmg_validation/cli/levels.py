"""The commands that train over levels: ``depth``, ``pyramid`` and ``imagenet10``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refmg_validation.cli.options import (
    Data,
    Deterministic,
    FirstSeed,
    LevelsPreset,
    Output,
    PathNames,
    Resume,
    Seeds,
    Sums,
    Weights,
)
from refmg_validation.terminal import console


def depth(
    data: Data = None,
    preset: LevelsPreset = "small",
    regularization: Weights = "weak",
    depths: Annotated[
        str, typer.Option(help="Layers of every level, as 2,4,8; those of the preset by default.")
    ] = "",
    path: PathNames = None,
    seed: FirstSeed = 0,
    seeds: Seeds = 1,
    output: Output = Path("depth-output"),
    resume: Resume = False,
    deterministic: Sums = None,
) -> None:
    """Train deeper and deeper networks from prolonged and from random starts (Figure 2)."""
    from refmg_validation.multilevel.command import DEPTH_KIND, Request
    from refmg_validation.multilevel.presets import named
    from refmg_validation.presets import whole_numbers
    from refmg_validation.ranks import preset_sums

    chosen = named(DEPTH_KIND.presets, preset, regularization)
    chosen = chosen.with_depths(whole_numbers(depths, "--depths", "2,4,8")) if depths else chosen
    with preset_sums(preset, deterministic):
        request = Request(
            DEPTH_KIND, chosen, data, range(seed, seed + seeds), output, resume, tuple(path or ())
        )
        request.run(console())


def pyramid(
    data: Data = None,
    preset: LevelsPreset = "small",
    regularization: Weights = "weak",
    transfer: Annotated[
        list[str] | None, typer.Option(help="Between resolutions, a path each; linear and calibrated.")
    ] = None,
    path: PathNames = None,
    seed: FirstSeed = 0,
    seeds: Seeds = 1,
    output: Output = Path("pyramid-output"),
    resume: Resume = False,
    deterministic: Sums = None,
) -> None:
    """Train coarse to fine, shallow to deep and both at once, against the fine network alone."""
    from dataclasses import replace

    from refmg_validation.multilevel.command import PYRAMID_KIND, Request
    from refmg_validation.multilevel.presets import named
    from refmg_validation.ranks import preset_sums

    chosen = named(PYRAMID_KIND.presets, preset, regularization)
    chosen = replace(chosen, transfers=tuple(transfer)) if transfer else chosen
    with preset_sums(preset, deterministic):
        request = Request(
            PYRAMID_KIND, chosen, data, range(seed, seed + seeds), output, resume, tuple(path or ())
        )
        request.run(console())


def imagenet10(
    data: Annotated[
        Path | None, typer.Option(help="Folder with tars <class>-<part>.tar or a folder a class; REFMG_DATA.")
    ] = None,
    preset: Annotated[str, typer.Option(help="tiny, medium, small or paper.")] = "tiny",
    sizes: Annotated[
        str, typer.Option(help="Cells a side of every level, as 56,112,224; those of the preset by default.")
    ] = "",
    way: Annotated[
        list[str] | None,
        typer.Option(
            help="From grid to grid, as Table 1 calls it: only these; those of the preset by default."
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="full, or mixed: activations kept in half precision for the way back.")
    ] = "full",
    splits: Annotated[int, typer.Option(min=1, help="Divisions, one a seed from --seed on.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="Of division, initial stencils, order; 0 is for choosing settings.")
    ] = 1,
    output: Output = Path("imagenet10-output"),
    cache: Annotated[
        Path | None, typer.Option(help="Folder for decoded photographs; below --output by default.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if a picture cannot be read; else it is left out.")
    ] = False,
    time_limit: Annotated[
        float | None, typer.Option(min=0, help="Minutes; the same command goes on where it stopped.")
    ] = None,
    deterministic: Deterministic = False,
) -> None:
    """Train a ResNet on the fine grid alone and coarse to fine, by several transfers (Figure 3, Table 1)."""
    from refmg_validation.imagenet10.command import Request
    from refmg_validation.imagenet10.presets import named
    from refmg_validation.imagenet10.source import Source
    from refmg_validation.presets import whole_numbers
    from refmg_validation.ranks import preset_sums

    chosen = named(preset, seed, whole_numbers(sizes, "--sizes", "56,112,224")).with_choices(
        way or (), precision
    )
    source = Source(data, cache or output / "decoded", strict)
    seconds = float("inf") if time_limit is None else 60 * time_limit
    with preset_sums(preset, deterministic):
        Request(chosen, source, range(seed, seed + splits), output, seconds).run(console())
