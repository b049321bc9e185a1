"""Sizes of the experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from refmg.resnet import ResNetArchitecture, ResNetTraining
from refmg_backends import RefmgError, one_of


@dataclass(frozen=True)
class Way:
    """How a network comes to the next finer grid.

    Parameters
    ----------
    transfer : str
        Of the stencils, as in :func:`refmg.resnet.transfer_resnet`.
    batch_norm : bool
        Whether the batch-norm statistics are re-estimated there.
    strided : {"own", "plain"}
        How strided stencils are moved, as in :class:`refmg.resnet.ResNetTransferOptions`.
    """

    transfer: str
    batch_norm: bool = True
    strided: str = "own"

    @property
    def name(self) -> str:
        """How its rows are called."""
        strided = ", strided as plain" if self.strided == "plain" else ""
        return f"{self.transfer}{strided}{' + BN' if self.batch_norm else ''}"


WAYS = (
    Way("unchanged", batch_norm=False),
    *map(Way, ("unchanged", "linear", "average", "power-law", "calibrated")),
)
# Asked for by name: does the ordering rest on how strided stencils are moved? And the transfers left.
MORE_WAYS = (
    *(Way(transfer, strided="plain") for transfer in ("linear", "average", "power-law")),
    *map(Way, ("full-weighting", "power-law-joint", "spectrum")),
)


def named_way(name: str) -> Way:
    """Return the way of this name.

    Raises
    ------
    RefmgError
        If there is none.

    Examples
    --------
    >>> named_way("linear, strided as plain + BN")
    Way(transfer='linear', batch_norm=True, strided='plain')
    """
    known = {way.name: way for way in (*WAYS, *MORE_WAYS)}
    if name not in known:
        raise RefmgError(one_of("way", name, known))
    return known[name]


@dataclass(frozen=True)
class ImageNetPreset:
    """One way to run the experiment.

    Parameters
    ----------
    name : str
    sizes : tuple of int
        Cells a side of the images, one a level, rising; each divides the next.
    architecture : ResNetArchitecture
        On the finest grid.
    training : ResNetTraining
        The same on every level and for fine-only training.
    batch_size : int
        Images a step.
    test, validation, stopping : float
        Parts of all images: looked at once, in the end; reported along the way; for early stopping.
    train : int
        Images to train on; 0 for all others.
    margin : float
        Largest shift of an image, as a part of its side.
    unlabelled : int
        Training images, without labels, for transfers and batch-norm statistics.
    ways : tuple of Way
        From a level to the next, a path each.
    dtype : str
        Precision.
    seed : int
        Of division, initial stencils, order and variation of the images.

    Raises
    ------
    RefmgError
        If sizes do not rise or one does not divide the next, or a part is none.
    """

    name: str
    sizes: tuple[int, ...]
    architecture: ResNetArchitecture
    training: ResNetTraining
    batch_size: int = 64
    test: float = 0.1
    validation: float = 0.1
    stopping: float = 0.05
    train: int = 0
    margin: float = 1 / 16
    unlabelled: int = 512
    ways: tuple[Way, ...] = WAYS
    dtype: str = "float32"
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no experiment."""
        for coarse, fine in zip(self.sizes, self.sizes[1:], strict=False):
            if coarse < 1 or coarse >= fine or fine % coarse:
                raise RefmgError(
                    f"found levels of {self.sizes} cells a side; expected them to rise from 1 or more, each "
                    "a divisor of the next"
                )
        if len(self.sizes) < 2 or min(self.sizes) < 1 or self.architecture.shape != (self.sizes[-1],) * 2:
            raise RefmgError(
                f"found levels {self.sizes} for a network on {self.architecture.shape}; expected two or "
                "more, the last one the network's"
            )
        if min(self.test, self.validation, self.stopping) <= 0:
            raise RefmgError("found an empty part; expected test, validation and stopping above 0")
        if self.test + self.validation + self.stopping >= 1:
            raise RefmgError("found no part left to train on; expected test, validation and stopping below 1")

    def on(self, sizes: tuple[int, ...]) -> ImageNetPreset:
        """Return the preset with other levels."""
        shape = (sizes[-1],) * 2 if sizes else self.architecture.shape
        return replace(self, sizes=sizes, architecture=self.architecture.on(shape))

    def with_choices(self, ways: Sequence[str], precision: str) -> ImageNetPreset:
        """Return the preset with only these ways, where some are named, and this precision.

        Raises
        ------
        RefmgError
            For an unknown name.
        """
        chosen = tuple(dict.fromkeys(map(named_way, ways))) or self.ways
        return replace(self, ways=chosen, training=replace(self.training, precision=precision))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        own = {"architecture": self.architecture.as_dict(), "training": self.training.as_dict()}
        return asdict(self) | own | {"sizes": list(self.sizes), "ways": [way.name for way in self.ways]}


# After the opening 64 x 64 cells are 32 x 32, and 32 x 32 are 16 x 16: no maximum on top.
_SMALL = ResNetArchitecture(
    (64, 64), blocks=(1, 1, 1), widths=(8, 16, 32), opening_stride=2, opening_pool="none"
)
_SGD = ResNetTraining(learning_rate=0.05, momentum=0.9, weight_decay=5e-4, epochs=200, patience=10)

PRESETS = {
    "tiny": ImageNetPreset(
        "tiny",
        (32, 64),
        _SMALL,
        replace(_SGD, epochs=60),
        batch_size=32,
        train=600,
        unlabelled=256,
    ),
    # Twice tiny's channels and all images: what two processors train in an evening.
    "medium": ImageNetPreset(
        "medium", (32, 64), replace(_SMALL, widths=(16, 32, 64)), replace(_SGD, epochs=60)
    ),
    "small": ImageNetPreset("small", (56, 112), ResNetArchitecture((112, 112)).scaled(width=1 / 2), _SGD),
    "paper": ImageNetPreset("paper", (112, 224), ResNetArchitecture((224, 224)), _SGD),
}


def named(name: str, seed: int = 1, sizes: tuple[int, ...] = ()) -> ImageNetPreset:
    """Return the preset of this name, with a seed and perhaps other levels.

    Raises
    ------
    RefmgError
        If there is no such preset, or the levels do not fit.

    Examples
    --------
    >>> named("paper", sizes=(56, 112, 224)).sizes
    (56, 112, 224)
    """
    if name not in PRESETS:
        raise RefmgError(one_of("preset", name, PRESETS))
    if seed < 0:
        raise RefmgError(f"found seed {seed}; expected 0 or more")
    preset = replace(PRESETS[name], seed=seed)
    return preset.on(sizes) if sizes else preset
