"""Classify across resolutions (paper, section 4, "Classification of Images of Different Resolution")."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from refmg import (
    Architecture,
    Network,
    SyntheticImages,
    get_backend,
    prolongation_matrix,
    restriction_matrix,
    transfer_network,
)
from refmg.data import Images, load_images, restrict_images, split_images
from refmg.stencil_maps import CALIBRATED, SYNTHETIC
from refmg_backends import RefmgError
from refmg_validation.presets import Preset
from refmg_validation.provenance import provenance
from refmg_validation.training_run import Examples, TrainingRun

LEVELS = ("coarse", "fine")
SPLITS = ("train", "validation", "test")
RESIZED = "images resized"
UNCHANGED = "unchanged"
UNLABELLED = 2000  # training images, without labels, for transfers that look at images
FEWER = (100, 500)  # how many of them "calibrated" gets in rows of its own
Progress = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class LevelData:
    """Training, validation and test images of one resolution."""

    train: Examples
    validation: Examples
    test: Examples


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
    coarse = [replace(part, x=restrict_images(part.x, preset.sigma)) for part in fine]
    return {"coarse": LevelData(*coarse), "fine": LevelData(*fine)}, about


def load_splits(
    preset: Preset, data: str | Path | None, seed: int
) -> tuple[dict[str, Images], dict[str, Any]]:
    """Load training, validation and test images, and what to record about them; see :func:`load_levels`."""
    everything, test = load_images(data, "train"), load_images(data, "test")
    _check(preset, everything, test)
    train, validation = split_images(everything, (preset.train, preset.validation), seed)
    splits = dict(zip(SPLITS, (train, validation, test), strict=True))
    about = {"name": everything.name, "sha256": everything.sha256(), "test_sha256": test.sha256()}
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
    return settings | {"rows": rows, "histories": histories, "trained": sessions}


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
    }
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
    instead of the network. Transfers that need images see training images, see :func:`unlabelled`;
    ``"calibrated"`` also has rows with fewer of them. Synthetic images are smoothed like the coarse ones,
    by `sigma`.
    """
    rows = [_row("native", {level: trained[level] for level in LEVELS}, levels)]
    for name in dict.fromkeys([*transfers, UNCHANGED]):
        for title, count in _image_counts(name, levels):
            rows.append(_row(title, moved_both_ways(trained, levels, name, count, sigma), levels))
    return [*rows, _row(RESIZED, *_resized(trained, levels))]


def _image_counts(name: str, levels: dict[str, LevelData]) -> list[tuple[str, int]]:
    """Return titles of rows and numbers of unlabelled images for one transfer."""
    most = min(UNLABELLED, levels["fine"].train.x.shape[-1])
    fewer = [count for count in FEWER if count < most] if name == CALIBRATED else []
    return [*((f"{name}, {count} images", count) for count in fewer), (name, most)]


def moved_both_ways(
    trained: dict[str, Network],
    levels: dict[str, LevelData],
    name: str,
    count: int = UNLABELLED,
    sigma: float = Preset.sigma,
) -> dict[str, Network]:
    """Return the network that each level gets from the other one."""
    images = unlabelled(levels, count)
    transfer = SyntheticImages(sigma=sigma) if name == SYNTHETIC else name
    return {
        target: transfer_network(trained[source], trained[target].architecture.shape, transfer, **images)
        for source, target in (("fine", "coarse"), ("coarse", "fine"))
    }


def unlabelled(levels: dict[str, LevelData], count: int = UNLABELLED) -> dict[str, Any]:
    """Return the first training images of both resolutions for :func:`refmg.transfer_network`.

    The spectrum is that of the fine ones, in both directions: a covariance lives on the fine grid.
    """
    coarse, fine = (levels[level].train.x[..., :count] for level in LEVELS)
    return {"images": fine, "coarse_images": coarse}


def _resized(
    trained: dict[str, Network], levels: dict[str, LevelData]
) -> tuple[dict[str, Network], dict[str, LevelData]]:
    """Return each level's images on the other level's grid, and the network that lives there.

    This moves the images and not the network. With ``P`` it also shows what the Galerkin map can
    reach at best: ``R K P`` promises to agree with the fine network on interpolated images.
    """

    def resize(examples: Examples, matrix: Any, shape: tuple[int, ...]) -> Examples:
        flat = examples.x.reshape(-1, examples.x.shape[-1])
        return replace(examples, x=(matrix.astype(flat.dtype) @ flat).reshape(1, *shape, -1))

    coarse, fine = (trained[level].architecture.shape for level in LEVELS)
    P, R = prolongation_matrix(fine), restriction_matrix(fine)
    up, down = (
        LevelData(*(resize(getattr(levels[level], split), matrix, shape) for split in SPLITS))
        for level, matrix, shape in (("coarse", P, fine), ("fine", R, coarse))
    )
    return {"coarse": trained["fine"], "fine": trained["coarse"]}, {"coarse": up, "fine": down}


def _row(name: str, networks: dict[str, Network], levels: dict[str, LevelData]) -> dict[str, Any]:
    row: dict[str, Any] = {"network": name}
    for level in LEVELS:
        for split in ("validation", "test"):
            examples: Examples = getattr(levels[level], split)
            row[f"{level}_{split}"] = networks[level].accuracy(examples.x, examples.labels)
    return row
