"""Networks of the experiment ``reproduce resolution``, moved to the other resolution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from refmg import (
    Network,
    SyntheticImages,
    prolongation_matrix,
    restriction_matrix,
    transfer_network,
)
from refmg.distributed.shared_examples import mapped_examples
from refmg.stencil_maps import CALIBRATED, SYNTHETIC
from refmg_validation.levels import LEVELS, SPLITS, LevelData
from refmg_validation.presets import Preset
from refmg_validation.training_run import Examples

RESIZED = "images resized"
UNCHANGED = "unchanged"
UNLABELLED = 2000  # training images, without labels, for transfers that look at images
FEWER = (100, 500)  # how many of them "calibrated" gets in rows of its own
DIRECTIONS = (("fine", "coarse"), ("coarse", "fine"))


@dataclass(frozen=True)
class TableRow:
    """One row of moved networks: its title, the transfer, and how many images that may look at."""

    title: str
    transfer: str
    images: int


@dataclass(frozen=True)
class MovedNetwork:
    """A network on its new grid, and the seconds of its transfer."""

    network: Network
    seconds: float


def table_rows(transfers: list[str], train: int) -> Iterator[TableRow]:
    """Yield the rows of the table; ``"unchanged"`` always has one.

    Parameters
    ----------
    transfers : list of str
    train : int
        Training images, of which the first are given without labels.

    Examples
    --------
    >>> [row.title for row in table_rows(["calibrated"], 300)]
    ['calibrated, 100 images', 'calibrated, 300 images', 'unchanged']
    """
    most = min(UNLABELLED, train)
    for name in dict.fromkeys([*transfers, UNCHANGED]):
        if name != CALIBRATED:
            yield TableRow(name, name, most)
            continue
        for count in (*(count for count in FEWER if count < most), most):
            yield TableRow(f"{CALIBRATED}, {count} images", CALIBRATED, count)


def moved_both_ways(
    trained: dict[str, Network],
    levels: dict[str, LevelData],
    name: str,
    count: int = UNLABELLED,
    sigma: float = Preset.sigma,
) -> dict[str, MovedNetwork]:
    """Return the network that each level gets from the other one, with the seconds of its transfer.

    The seconds are wall time of the transfer alone, without loading and measuring. Nothing is run
    beforehand: where kernels are compiled, the first transfer of a process pays for them.
    """
    images = unlabelled(levels, count)
    transfer = SyntheticImages(sigma=sigma) if name == SYNTHETIC else name
    return {
        target: _timed(trained[source], trained[target].architecture.shape, transfer, images)
        for source, target in DIRECTIONS
    }


def _timed(network: Network, shape: tuple[int, ...], transfer: Any, images: dict[str, Any]) -> MovedNetwork:
    network.backend.synchronize()
    begin = perf_counter()
    moved = transfer_network(network, shape, transfer, **images)
    moved.backend.synchronize()
    return MovedNetwork(moved, perf_counter() - begin)


def unlabelled(levels: dict[str, LevelData], count: int = UNLABELLED) -> dict[str, Any]:
    """Return the first training images of both resolutions for :func:`refmg.transfer_network`.

    The spectrum is that of the fine ones, in both directions: a covariance lives on the fine grid.
    """
    coarse, fine = (levels[level].train.x[..., :count] for level in LEVELS)
    return {"images": fine, "coarse_images": coarse}


def resized(
    trained: dict[str, Network], levels: dict[str, LevelData]
) -> tuple[dict[str, Network], dict[str, LevelData]]:
    """Return each level's images on the other level's grid, and the network that lives there.

    This moves the images and not the network. With ``P`` it also shows what the Galerkin map can
    reach at best: ``R K P`` promises to agree with the fine network on interpolated images.
    """

    def resize(examples: Examples, matrix: Any, shape: tuple[int, ...]) -> Examples:
        def on_grid(x: np.ndarray) -> np.ndarray:
            flat = x.reshape(-1, x.shape[-1])
            return np.asarray((matrix.astype(flat.dtype) @ flat).reshape(1, *shape, x.shape[-1]))

        return replace(examples, x=mapped_examples(examples.x, on_grid))

    coarse, fine = (trained[level].architecture.shape for level in LEVELS)
    P, R = prolongation_matrix(fine), restriction_matrix(fine)
    up, down = (
        LevelData(*(resize(getattr(levels[level], split), matrix, shape) for split in SPLITS))
        for level, matrix, shape in (("coarse", P, fine), ("fine", R, coarse))
    )
    return {"coarse": trained["fine"], "fine": trained["coarse"]}, {"coarse": up, "fine": down}
