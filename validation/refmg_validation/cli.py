"""The command ``refmg``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from refmg_backends import RefmgError  # not from refmg: the help needs no mathematics
from refmg_validation.conformance_cli import conformance
from refmg_validation.running import run
from refmg_validation.terminal import console as _console

app = typer.Typer(help="Learning across scales.", no_args_is_help=True, add_completion=False)
reproduce = typer.Typer(help="Reproduce a result of the paper.", no_args_is_help=True)
app.add_typer(reproduce, name="reproduce")
app.add_typer(conformance, name="conformance")

Output = Annotated[Path, typer.Option(help="Folder for what is written.")]
Data = Annotated[
    Path | None, typer.Option(help="Folder with the MNIST files; REFMG_DATA, else the shipped digits.")
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="The same bits for every number of MPI ranks; slower.")
]
# Presets that compute for minutes: a table that everybody can compare is worth some of them.
Sums = Annotated[
    bool | None,
    typer.Option(
        "--deterministic/--plain-sums",
        help="The same bits for every number of MPI ranks; slower. The preset small does so by default.",
        show_default=False,
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Refuse to start anew: a run must be there to go on with.")
]


@app.command()
def info() -> None:
    """Print versions, backend, device, precision and threads."""
    from refmg_validation.info import description

    print(description())


@app.command()
def fetch(output: Output = Path("mnist")) -> None:
    """Download MNIST, checked by sha256."""
    from refmg.data import fetch_mnist

    print(f"MNIST is in {fetch_mnist(output)}")


@app.command()
def verify(
    only: Annotated[
        str | None,
        typer.Option(
            help="exact, taps, kernels, operators, transfers, images, control, training, regularizers, "
            "levels or backend; else all."
        ),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="The integer and rational ones only.")] = False,
    seed: Annotated[
        str | None, typer.Option(help="Of the random cases; random draws new ones and prints it.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Record the checks in this file.")] = None,
) -> int:
    """Print every check with its measured error and bound; exit status 1 if one fails."""
    from refmg_validation.records import provenance, write_json
    from refmg_validation.verify import SEED, as_json, chosen_seed, failures, findings_table, run_checks

    number = SEED if seed is None else chosen_seed(seed)
    findings = run_checks(only, number, exact)
    _console().print(findings_table(findings))
    if json is not None:
        write_json(json, provenance() | as_json(findings, number))
    failed, count = failures(findings), sum(len(found) for found in findings.values())
    for name in failed:
        print(f"refmg: check failed: {name}", file=sys.stderr)
    print(f"{count - len(failed)} of {count} checks passed, seed {number}")
    return 1 if failed else 0


@app.command()
def bench(
    against: Annotated[str | None, typer.Option(help="torch: the same in PyTorch, in the same run.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Record the measurements here, and a plot beside it.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Small shapes only, to see that the bench works.")] = False,
    shapes: Annotated[str, typer.Option(help="mnist, resnet or all: convolutions to time.")] = "mnist",
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Time sums over MPI ranks instead; model many of them.")
    ] = False,
    compute: Annotated[
        Path | None, typer.Option(help="Record of --scaling on other machines, whose computing is modelled.")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(help="Times that --scaling measures one and more ranks, in turn.")
    ] = None,
) -> None:
    """Time kernels and networks of the chosen backend."""
    from refmg_backends import get_backend, one_of
    from refmg_validation.bench import report
    from refmg_validation.bench.run import run_bench
    from refmg_validation.bench.targets import miss_lines
    from refmg_validation.bench.torch_peer import TorchPeer
    from refmg_validation.records import provenance, write_figure, write_json

    if scaling:
        from refmg_validation.bench.scaling.command import bench_scaling

        bench_scaling(quick, json, compute, _console(), 1 if repeat is None else repeat)
        return
    for name, value in (("compute", compute), ("repeat", repeat)):
        if value is not None:
            raise RefmgError(f"found --{name}, which only --scaling looks at; expected both or none")
    if against not in (None, "torch"):
        raise RefmgError(one_of("peer", against, ["torch"]))
    backend, console = get_backend(), _console()
    device = "cpu" if backend.device == "cpu" else "cuda"
    peer = TorchPeer(device, backend.threads(), backend.tf32) if against else None
    result = run_bench(backend, peer, quick, lambda line: console.print(line, style="dim"), shapes)
    result = provenance() | result
    tables = [report.kernel_table(result)]
    tables += [report.network_table(result)] if result["networks"] else []
    tables += [report.method_table(result)] if any("methods" in row for row in result["kernels"]) else []
    console.print(*tables, *([report.summary_table(result)] if result["summary"] else []))
    for line in [*report.surroundings_lines(result), *(miss_lines(result) if result["summary"] else [])]:
        console.print(line)
    if json is not None:
        write_json(json, result)
        write_figure(json.with_suffix(".png"), report.draw_bench(result))


@app.command()
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


Page = Annotated[Path | None, typer.Option("--output", "-o", help="The page, an HTML file.")]


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Output folder of an experiment.")], output: Page = None
) -> None:
    """Write a run as one HTML page: figures, tables, settings; DIR/report.html by default."""
    from refmg_validation.html_report import report_page

    _write_page(output or folder / "report.html", report_page(folder))


@app.command()
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


@reproduce.command()
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


@reproduce.command()
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
    from refmg_validation.ranks import summing

    chosen, names = named_preset(preset, regularization), network_transfer_names()
    transfers = transfer or ["linear"]
    for name in transfers:
        if name not in (*names, "all"):
            raise RefmgError(one_of("transfer", name, [*names, "all"]))
    transfers = list(names) if "all" in transfers else transfers
    request = resolution_command.Request(chosen, data, transfers, output, resume)
    with summing(preset == "small" if deterministic is None else deterministic):
        if seeds == 1:
            resolution_command.one_seed(request, seed, _console())
        else:
            resolution_command.several_seeds(request, range(seed, seed + seeds), _console())


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


@reproduce.command()
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
    from refmg_validation.ranks import summing

    chosen = named(DEPTH_KIND.presets, preset, regularization)
    chosen = chosen.with_depths(whole_numbers(depths, "--depths", "2,4,8")) if depths else chosen
    with summing(preset == "small" if deterministic is None else deterministic):
        request = Request(
            DEPTH_KIND, chosen, data, range(seed, seed + seeds), output, resume, tuple(path or ())
        )
        request.run(_console())


@reproduce.command()
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
    from refmg_validation.ranks import summing

    chosen = named(PYRAMID_KIND.presets, preset, regularization)
    chosen = replace(chosen, transfers=tuple(transfer)) if transfer else chosen
    with summing(preset == "small" if deterministic is None else deterministic):
        request = Request(
            PYRAMID_KIND, chosen, data, range(seed, seed + seeds), output, resume, tuple(path or ())
        )
        request.run(_console())


@reproduce.command()
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
    """Train a ResNet on the fine grid alone and coarse to fine, by every transfer (Figure 3, Table 1)."""
    from refmg_validation.imagenet10.command import Request
    from refmg_validation.imagenet10.presets import named
    from refmg_validation.imagenet10.source import Source
    from refmg_validation.presets import whole_numbers
    from refmg_validation.ranks import summing

    chosen = named(preset, seed, whole_numbers(sizes, "--sizes", "56,112,224")).with_choices(
        way or (), precision
    )
    source = Source(data, cache or output / "decoded", strict)
    seconds = float("inf") if time_limit is None else 60 * time_limit
    with summing(deterministic):
        Request(chosen, source, range(seed, seed + splits), output, seconds).run(_console())


def main(arguments: list[str] | None = None) -> int:
    """Run the command, see :func:`refmg_validation.running.run`."""
    return run(app, arguments)
