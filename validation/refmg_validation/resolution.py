"""Classify across resolutions (paper, section 4, "Classification of Across Resolutions")."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from refmg import Architecture, Network, __version__, get_backend
from refmg.data import Images, load_images, restrict_images
from refmg.distributed.shared_examples import mapped_examples
from refmg_backends import RefmgError
from refmg_validation.levels import LEVELS, SPLITS, LevelData
from refmg_validation.presets import Preset
from refmg_validation.provenance import provenance
from refmg_validation.ranks import decisive, once
from refmg_validation.resolution_moves import RESIZED, TableRow, moved_both_ways, resized, table_rows
from refmg_validation.split_data import SplitImages, divided_images
from refmg_validation.training_run import Examples, TrainingRun

NATIVE = "native"
RECORD = 2  # version of what is measured: 2 has the seconds of every transfer
Progress = Callable[[str, dict[str, Any]], None]


def load_levels(
    preset: Preset, data: str | Path | None, seed: int
) -> tuple[dict[str, LevelData], dict[str, Any]]:
    """Load the images of both resolutions.

    Parameters
    ----------
    preset : Preset
        Gives the numbers of images.
    data : path, optional
        As in :func:`refmg.data.load_images`.
    seed : int
        Of the division into training and validation images. The test images never depend on it.

    Returns
    -------
    dict of LevelData, dict
        The levels, and what to record about the data.

    Raises
    ------
    RefmgError
        If there are too few images or they do not fit.
    """
    splits, about = load_splits(preset, data, seed)
    fine = [Examples(splits[name].features(preset.dtype), splits[name].labels) for name in SPLITS]
    coarse = [
        replace(part, x=mapped_examples(part.x, lambda x: restrict_images(x, preset.sigma))) for part in fine
    ]
    return {"coarse": LevelData(*coarse), "fine": LevelData(*fine)}, about


def load_splits(
    preset: Preset, data: str | Path | None, seed: int
) -> tuple[dict[str, SplitImages], dict[str, Any]]:
    """Load training, validation and test images, and what to record about them; see :func:`load_levels`."""
    everything, test = load_images(data, "train"), load_images(data, "test")
    _check(preset, everything, test)
    splits = divided_images(everything, (preset.train, preset.validation), test, seed)
    sums = once(lambda: (everything.sha256(), test.sha256()))
    about = {"name": everything.name, "sha256": sums[0], "test_sha256": sums[1]}
    return splits, about | {name: len(images) for name, images in splits.items()}


def _check(preset: Preset, train: Images, test: Images) -> None:
    needed = preset.train + preset.validation
    if len(train) < needed:
        raise RefmgError(
            f"preset {preset.name!r} needs {needed} training images; found {len(train)} ({train.name}): name "
            "a folder with the MNIST files by --data or REFMG_DATA, or take --preset small"
        )
    if train.shape != test.shape or test.classes > train.classes:
        raise RefmgError(
            f"found training images {train!r} and test images {test!r}; expected the same size and classes"
        )


def run_resolution(
    preset: Preset, data: str | Path | None, transfers: list[str], seed: int, output: Path, progress: Progress
) -> dict[str, Any]:
    """Train a coarse and a fine network, move each to the other resolution, and measure.

    Parameters
    ----------
    preset : Preset
        Sizes and settings.
    data : path, optional
        As in :func:`refmg.data.load_images`.
    transfers : list of str
        Ways to move a network, see :func:`refmg.transfer_network`; ``"unchanged"`` is always added.
    seed : int
        Of division, initial stencils and subsamples.
    output : pathlib.Path
        Where the networks are kept; a run that was interrupted goes on from there.
    progress : callable
        Called with the level's name and a record after each iteration.

    Returns
    -------
    dict
        Settings, training histories and accuracies, ready for JSON.

    Raises
    ------
    RefmgError
        For bad input, or an `output` that belongs to another run.
    """
    preset = replace(preset, training=replace(preset.training, seed=seed))
    levels, about = load_levels(preset, data, seed)
    trained, histories = trained_networks(preset, levels, about, output, progress)
    sessions = {
        level: _training_run(level, levels[level], preset, preset.training, about, output).sessions()
        for level in LEVELS
    }
    rows = measure(trained, levels, transfers, preset.sigma)
    settings = {"seed": seed, "preset": preset.as_dict(), "data": about, "transfers": transfers}
    settings |= {"measured": what_is_measured(transfers, preset.train)}
    return settings | {"rows": rows, "histories": histories, "trained": sessions}


def what_is_measured(transfers: list[str], train: int) -> dict[str, Any]:
    """Return what tells one table from another: its rows, by which code and backend.

    Examples
    --------
    >>> what_is_measured(["linear"], 50_000)["rows"]
    ['native', 'linear', 'unchanged', 'images resized']
    """
    rows = [NATIVE, *(row.title for row in table_rows(transfers, train)), RESIZED]
    about = {"record": RECORD, "refmg": __version__, "backend": get_backend().name, "rows": rows}
    return about | decisive()


def trained_networks(
    preset: Preset,
    levels: dict[str, LevelData],
    about: dict[str, Any],
    output: Path,
    progress: Progress,
) -> tuple[dict[str, Network], dict[str, Any]]:
    """Train a network a level, or go on where a run was interrupted; return them and their histories."""
    trained, histories = {}, {}
    for level in LEVELS:
        run = _training_run(level, levels[level], preset, preset.training, about, output)
        # Closed whatever happens, so that the folder is given back at once.
        with closing(run.go(levels[level].train, levels[level].validation, preset.dtype)) as iterations:
            for network, record in iterations:
                progress(level, record)
                trained[level] = network
        histories[level] = run.state(preset.dtype)[1]
    return trained, histories


def _training_run(
    level: str, data: LevelData, preset: Preset, settings: Any, about: dict[str, Any], output: Path
) -> TrainingRun:
    architecture = Architecture(
        data.train.x.shape[1:-1],
        channels=preset.channels,
        layers=preset.layers,
        final_time=preset.final_time,
        classes=int(data.train.labels.max()) + 1,
    )
    fingerprint = {
        "architecture": architecture.as_dict(),
        "training": settings.as_dict(),
        "data": about,
        "sigma": preset.sigma,
        "dtype": preset.dtype,
        "backend": get_backend().name,
    } | decisive()
    session = provenance() | {"backend": get_backend().name}
    return TrainingRun(output / f"{level}.safetensors", architecture, settings, fingerprint, session)


def measure(
    trained: dict[str, Network],
    levels: dict[str, LevelData],
    transfers: list[str],
    sigma: float = Preset.sigma,
) -> list[dict[str, Any]]:
    """Return one row a way of use: accuracies on both resolutions' validation and test images.

    The column is the resolution of the *images*: ``coarse`` images are given to the coarse network in
    the row "native", and to the fine network, moved, in the others. The last row moves the images
    instead of the network. Transfers that need images see training images, see
    :func:`refmg_validation.resolution_moves.unlabelled`; ``"calibrated"`` also has rows with fewer of
    them. Synthetic images are smoothed like the coarse ones, by `sigma`. Rows of moved networks have the
    seconds of each transfer, see :func:`refmg_validation.resolution_moves.moved_both_ways`.
    """
    rows = [_row(NATIVE, {level: trained[level] for level in LEVELS}, levels)]
    for planned in table_rows(transfers, levels["fine"].train.x.shape[-1]):
        rows.append(_moved_row(planned, trained, levels, sigma))
    return [*rows, _row(RESIZED, *resized(trained, levels))]


def _moved_row(
    planned: TableRow, trained: dict[str, Network], levels: dict[str, LevelData], sigma: float
) -> dict[str, Any]:
    moved = moved_both_ways(trained, levels, planned.transfer, planned.images, sigma)
    row = _row(planned.title, {level: found.network for level, found in moved.items()}, levels)
    return row | {f"{level}_seconds": moved[level].seconds for level in LEVELS}


def _row(name: str, networks: dict[str, Network], levels: dict[str, LevelData]) -> dict[str, Any]:
    row: dict[str, Any] = {"network": name}
    for level in LEVELS:
        for split in SPLITS[1:]:
            examples: Examples = getattr(levels[level], split)
            row[f"{level}_{split}"] = networks[level].accuracy(examples.x, examples.labels)
    # Only moving a network takes a transfer.
    return row | {f"{level}_seconds": None for level in LEVELS}
