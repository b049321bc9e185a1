"""The command ``refmg``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer.exceptions import TyperException

from refmg import RefmgError

app = typer.Typer(help="Learning across scales.", no_args_is_help=True, add_completion=False)
reproduce = typer.Typer(help="Reproduce a result of the paper.", no_args_is_help=True)
app.add_typer(reproduce, name="reproduce")

Output = Annotated[Path, typer.Option(help="Folder for what is written.")]
Data = Annotated[
    Path | None, typer.Option(help="Folder with the MNIST files; REFMG_DATA, else the shipped digits.")
]

INTERRUPTED = "interrupted; the same command goes on after the last finished iteration"
SIGINT_STATUS = 130  # what typer makes of Ctrl-C


@app.command()
def info() -> None:
    """Print versions, backend, device, precision and threads."""
    from refmg_validation.info import describe

    for name, value in describe().items():
        print(f"{name:12s} {value}")


@app.command()
def fetch(output: Output = Path("mnist")) -> None:
    """Download MNIST, checked by sha256."""
    from refmg.data import fetch_mnist

    print(f"MNIST is in {fetch_mnist(output)}")


@app.command()
def verify(
    only: Annotated[
        str | None, typer.Option(help="operators, transfers, images or control; all by default.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Record the findings in this file.")] = None,
) -> int:
    """Print every check with its measured error and bound; exit status 1 if one fails."""
    from refmg_validation.records import provenance, write_json
    from refmg_validation.verify import as_json, failures, findings_table, run_checks

    findings = run_checks(only)
    _console().print(findings_table(findings))
    if json is not None:
        write_json(json, provenance() | as_json(findings))
    failed, count = failures(findings), sum(len(found) for found in findings.values())
    for name in failed:
        print(f"refmg: check failed: {name}", file=sys.stderr)
    print(f"{count - len(failed)} of {count} checks passed")
    return 1 if failed else 0


@app.command()
def bench(
    against: Annotated[str | None, typer.Option(help="torch: the same in PyTorch, in the same run.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Record the measurements here, and a plot beside it.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Small shapes only, to see that the bench works.")] = False,
    shapes: Annotated[str, typer.Option(help="mnist, resnet or all: convolutions to time.")] = "mnist",
) -> None:
    """Time kernels and networks of the chosen backend."""
    from refmg_backends import get_backend, one_of
    from refmg_validation.bench import report
    from refmg_validation.bench.run import run_bench
    from refmg_validation.bench.torch_peer import TorchPeer
    from refmg_validation.records import provenance, write_figure, write_json

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
    console.print(*tables, *([report.summary_table(result)] if peer else []))
    for line in report.surroundings_lines(result):
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
    size: Annotated[int, typer.Option(help="Cells a side of the pictures on the fine grid.")] = 64,
    json: Annotated[Path | None, typer.Option(help="Record what was done in this file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing output.")] = False,
) -> None:
    """Move the convolution stencils of a trained model to another resolution."""
    from refmg.model_transfer import ResolutionChange, TensorSelection
    from refmg_validation import move_model
    from refmg_validation.pictures import load_pictures
    from refmg_validation.records import provenance, write_json

    pictures = None if images is None else load_pictures(images, size)
    change = ResolutionChange(move_model.parse_factor(factor), to, transfer, closure, pictures)
    selection = TensorSelection(include or (), exclude or ())
    request = move_model.MoveRequest(model, output, change, selection, force)
    records, console = move_model.move_model(request), _console()
    console.print(
        move_model.records_table(records, f"{model} moved by {transfer!r}, factor {factor}, to {to}")
    )
    for line in move_model.summary(records):
        console.print(line)
    if json is not None:
        write_json(json, provenance() | move_model.as_json(request, records))


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
    seed: Annotated[int, typer.Option(help="Of division, initial stencils, subsamples.")] = 0,
    output: Output = Path("resolution-output"),
) -> None:
    """Train at two resolutions, move each network to the other, and print the paper's table."""
    from refmg import network_transfer_names
    from refmg_backends import one_of
    from refmg_validation.figures import draw_accuracies
    from refmg_validation.presets import named_preset
    from refmg_validation.progress import TrainingProgress
    from refmg_validation.records import provenance, write_figure, write_json
    from refmg_validation.report import ordering, resolution_table
    from refmg_validation.resolution import run_resolution

    transfers, chosen, console = transfer or ["linear"], named_preset(preset), _console()
    names = network_transfer_names()
    for name in transfers:
        if name not in (*names, "all"):
            raise RefmgError(one_of("transfer", name, [*names, "all"]))
    transfers = names if "all" in transfers else transfers
    with TrainingProgress(console, chosen.training.iterations + 1) as progress:
        result = run_resolution(chosen, data, transfers, seed, output, progress)
    result = provenance() | {"seed": seed} | result
    write_json(output / "resolution.json", result)
    write_figure(output / "resolution.png", draw_accuracies(result["rows"], result["data"]["name"]))
    console.print(resolution_table(result))
    for line in ordering(result):
        console.print(line)
    console.print(f"Networks, resolution.json and resolution.png are in {output}")


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 110, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; bad input gives one line on standard error and exit status 2.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit status.
    """
    try:
        from refmg_backends import check_environment, default_dtype, get_backend

        check_environment()
        default_dtype()
        get_backend()
        result = typer.main.get_command(app)(arguments, prog_name="refmg", standalone_mode=False)
        sys.stdout.flush()
        return _fail(INTERRUPTED) if result == SIGINT_STATUS else int(result or 0)
    except TyperException as error:
        message = error.format_message()
        return _fail(f"{message} (see refmg --help)") if message else 2  # no command: the help was printed
    except (KeyboardInterrupt, typer.Abort):
        return _fail(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except (RefmgError, OSError) as error:
        return _fail(str(error))


def _fail(message: str) -> int:
    print("refmg: " + " ".join(message.split()), file=sys.stderr)
    return 2
