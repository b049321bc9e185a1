"""Compiling kernels when they are first needed, and calling them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from refmg_backends.activation import ACTIVATIONS
from refmg_backends.backend import Array
from refmg_backends.cuda_kernels.tiles import WIDE, Tile

# An absent array; CuPy passes numbers of NumPy on as they are.
ABSENT = np.uint64(0)
REALS = {"float32": "float", "float64": "double"}
# The numbers of the activations in common.cuh; 0 is none.
ACTIVATION_CODES = {"tanh": 1, "relu": 2, "smooth-relu": 3, "identity": 4}
POINTWISE = Tile(8, 16, 1, 1)  # what the source is told where it has no tile


@cache
def source(file: str) -> str:
    """Return the source of a group of kernels, one string without includes."""
    folder = files("refmg_backends.cuda_kernels")
    return "".join(folder.joinpath(name).read_text("utf-8") for name in ("common.cuh", file))


@dataclass(frozen=True)
class Variant:
    """One compilation of a group of kernels.

    Parameters
    ----------
    file : str
        Such as ``"convolve.cu"``.
    dtype : {"float32", "float64"}
        Type of the numbers.
    vector : int
        Numbers a load.
    tile : Tile
        Of a block.
    activation : int
        From :data:`ACTIVATION_CODES`, or 0.

    Examples
    --------
    >>> Variant("convolve.cu", "float32", 4, Tile(8, 16, 8, 8)).options[:3]
    ('-std=c++17', '-DREAL=float', '-DVECTOR=4')
    """

    file: str
    dtype: str
    vector: int
    tile: Tile = POINTWISE
    activation: int = 0

    @property
    def options(self) -> tuple[str, ...]:
        """Options of the compiler: none for inexact arithmetic.

        CuPy itself adds ``-ftz=true`` to any options: float32 numbers below 1.2e-38 become zero.
        """
        defines = (
            ("REAL", REALS[self.dtype]),
            ("VECTOR", self.vector),
            *self.tile.defines,
            ("ACTIVATION", self.activation),
        )
        return "-std=c++17", *(f"-D{name}={value}" for name, value in defines)


class Kernels:
    """The kernels of one process.

    Parameters
    ----------
    cupy : module
        CuPy, whose compiler keeps what it compiled on disk.
    """

    def __init__(self, cupy: Any) -> None:
        self.cupy, self._functions = cupy, dict[tuple[Variant, str], Any]()

    def __call__(
        self,
        variant: Variant,
        name: str,
        grid: tuple[int, ...],
        threads: int,
        arguments: tuple[Any, ...],
        memory: int = 0,
    ) -> None:
        """Begin a kernel on the current stream; compile it before, if this is its first call."""
        key = variant, name
        if key not in self._functions:
            module = self.cupy.RawModule(code=source(variant.file), options=variant.options, backend="nvrtc")
            self._functions[key] = module.get_function(name)
        self._functions[key](grid, (threads,), arguments, shared_mem=memory)


def integers(*sizes: int) -> tuple[np.int32, ...]:
    """Return sizes as the kernels take them; one that 32 bits do not hold raises OverflowError."""
    return tuple(np.int32(size) for size in sizes)


def real(dtype: str, value: float) -> Any:
    """Return a number of the arrays' type."""
    return np.dtype(dtype).type(value)


def vector_of(length: int, *arrays: Array) -> int:
    """Return how many numbers one load may take: 16 bytes where rows of `length` and all arrays allow it."""
    wide = WIDE // arrays[0].dtype.itemsize
    whole = length % wide == 0 and all(array.data.ptr % WIDE == 0 for array in arrays)
    return wide if whole else 1


def same_floats(*arrays: Array) -> bool:
    """Return whether the kernels take these arrays: one floating type, and nothing empty."""
    names = {array.dtype.name for array in arrays}
    return len(names) == 1 and names <= set(REALS) and all(array.size for array in arrays)


def activation_code(activation: Any) -> int | None:
    """Return the kernels' number of an activation; None for one that is not the named one itself."""
    known = activation is ACTIVATIONS.get(activation.name)
    return ACTIVATION_CODES.get(activation.name) if known else None
