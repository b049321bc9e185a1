"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[Path, typer.Option(help="Folder for what is written.")]
Data = Annotated[
    Path | None, typer.Option(help="Folder with the MNIST files; REFMG_DATA, else the shipped digits.")
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="The same bits for every number of MPI ranks; slower.")
]
Sums = Annotated[
    bool | None,
    typer.Option(
        "--deterministic/--plain-sums",
        help="The same bits for every number of MPI ranks; slower. The preset small does so by default, "
        "on backends that repeat their own bits.",
        show_default=False,
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Refuse to start anew: a run must be there to go on with.")
]
Weights = Annotated[str, typer.Option(help="weak or strong.")]
LevelsPreset = Annotated[str, typer.Option(help="small or paper.")]
FirstSeed = Annotated[int, typer.Option(min=0, help="Of division, initial stencils, subsamples.")]
Seeds = Annotated[int, typer.Option(min=1, help="Runs, from --seed on: mean and spread.")]
PathNames = Annotated[
    list[str] | None,
    typer.Option(
        help="Train only paths of this name now, as the tables call them; others stay to be trained."
    ),
]
