"""The convolutions that are timed."""

from __future__ import annotations

from dataclasses import dataclass

from refmg_backends import RefmgError, one_of


@dataclass(frozen=True)
class KernelShape:
    """A 3 x 3 convolution from channels to as many channels on a square grid."""

    channels: int
    grid: int
    examples: int


# In "mnist" the sizes of the paper's networks and multiples; in "resnet" the stages of a ResNet-34 for
# images of 224 x 224 cells, and its first convolution's grid.
SHAPES = {
    "mnist": tuple(KernelShape(c, n, 128) for c in (8, 16, 32, 64) for n in (14, 28, 56)),
    "resnet": tuple(KernelShape(c, n, 32) for c, n in ((64, 112), (64, 56), (128, 28), (256, 14), (512, 14))),
}
QUICK = {
    "mnist": tuple(KernelShape(c, 14, 128) for c in (8, 16)),
    "resnet": (KernelShape(8, 14, 32),),
}


def named_shapes(name: str, quick: bool = False) -> tuple[KernelShape, ...]:
    """Return the shapes of this name.

    Parameters
    ----------
    name : {"mnist", "resnet", "all"}
        Which.
    quick : bool
        Few small ones, to see that the bench works.

    Raises
    ------
    RefmgError
        If there is no such name.

    Examples
    --------
    >>> named_shapes("resnet")[-1]
    KernelShape(channels=512, grid=14, examples=32)
    """
    if name not in (*SHAPES, "all"):
        raise RefmgError(one_of("set of shapes", name, [*SHAPES, "all"]))
    sets = QUICK if quick else SHAPES
    return tuple(shape for key in sets if name in (key, "all") for shape in sets[key])
