"""What ``refmg reproduce resolution`` prints and writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from refmg import get_backend
from refmg_backends import RefmgError
from refmg_validation.figures import draw_accuracies
from refmg_validation.levels import LEVELS
from refmg_validation.presets import Preset
from refmg_validation.progress import TrainingProgress
from refmg_validation.ranks import once
from refmg_validation.records import provenance, write_figure, write_json
from refmg_validation.report import ordering, resolution_table
from refmg_validation.resolution import load_splits, run_resolution
from refmg_validation.resolution_run import run_of_resolution, run_of_seeds
from refmg_validation.resolution_seeds import COLUMNS, gains, run_seeds, seeds_table
from refmg_validation.run_record import write_run
from refmg_validation.runs import FolderLock, check_claim, claim_folder
from refmg_validation.training_run import has_begun

OWN = ("resolution.json", "seeds.json")
# Whatever the settings: every network says with which it was made, and transfers may be added later.
CLAIMED = {"experiment": "resolution"}


@dataclass(frozen=True)
class Request:
    """What to run, where the results go, and whether a run must be there to go on with."""

    preset: Preset
    data: Path | None
    transfers: list[str]
    output: Path
    resume: bool = False

    def check_resume(self, folders: Iterable[Path]) -> None:
        """Refuse to resume what has not begun."""
        paths = [folder / f"{level}.safetensors" for folder in folders for level in LEVELS]
        if self.resume and not any(map(has_begun, paths)):
            raise RefmgError(
                f"found no run in {self.output} to resume; expected checkpoints or networks of one: name its "
                "--output, or start it without --resume"
            )

    def check_owner(self) -> None:
        """Refuse an output of another experiment; folders of former versions have records and no claim."""
        if not once(lambda: any((self.output / name).exists() for name in OWN)):
            check_claim(self.output, CLAIMED)

    def claim(self, seed: int) -> None:
        """Say whose the output is before the first checkpoint; a bad seed or bad data leave it free."""
        replace(self.preset.training, seed=seed)
        load_splits(self.preset, self.data, seed)
        claim_folder(self.output, CLAIMED)

    def progress(self, console: Console) -> TrainingProgress:
        """Return progress bars for one run."""
        return TrainingProgress(console, self.preset.training.iterations + 1)


def one_seed(request: Request, seed: int, console: Console) -> None:
    """Run once; write ``resolution.json``, ``resolution.png`` and ``run.json``, and print the table."""
    with FolderLock(request.output):
        request.check_owner()
        request.check_resume([request.output])
        request.claim(seed)
        _one_seed(request, seed, console)


def _one_seed(request: Request, seed: int, console: Console) -> None:
    output = request.output
    with request.progress(console) as progress:
        result = run_resolution(request.preset, request.data, request.transfers, seed, output, progress)
    result = provenance() | {"backend": get_backend().name} | result
    write_json(output / "resolution.json", result)
    write_figure(output / "resolution.png", draw_accuracies(result["rows"], result["data"]["name"]))
    write_run(output, run_of_resolution(result, ("resolution.png",)))
    console.print(resolution_table(result))
    for line in ordering(result):
        console.print(line)
    console.print(f"Networks, resolution.json, run.json and resolution.png are in {output}")


def several_seeds(request: Request, seeds: Sequence[int], console: Console) -> None:
    """Run once a seed; write ``seeds.json``, ``seeds.png`` and ``run.json``; print means and spreads."""
    with FolderLock(request.output):
        request.check_owner()
        request.check_resume(request.output / f"seed-{seed}" for seed in seeds)
        request.claim(seeds[0])
        _several_seeds(request, seeds, console)


def _several_seeds(request: Request, seeds: Sequence[int], console: Console) -> None:
    def progress_of(seed: int) -> TrainingProgress:
        console.print(f"seed {seed}, number {list(seeds).index(seed) + 1} of {len(seeds)}")
        return request.progress(console)

    output = request.output
    origin = provenance() | {"backend": get_backend().name}
    result = origin | run_seeds(request.preset, request.data, request.transfers, seeds, output, progress_of)
    write_json(output / "seeds.json", result)
    rows = [
        {"network": name} | {column: scores[column]["mean"] for column in COLUMNS}
        for name, scores in result["summary"].items()
    ]
    title = f"{result['data']['name']}, mean of {len(seeds)} seeds"
    write_figure(output / "seeds.png", draw_accuracies(rows, title))
    write_run(output, run_of_seeds(result, ("seeds.png",)))
    console.print(seeds_table(result))
    for line in gains(result):
        console.print(line)
    console.print(f"Networks of each seed, seeds.json, run.json and seeds.png are in {output}")
