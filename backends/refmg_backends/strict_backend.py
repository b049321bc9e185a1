"""``array-api-strict``: a CPU stand-in that refuses what other array libraries lack."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np

from refmg_backends.array_backend import ArrayBackend


class StrictBackend(ArrayBackend):
    """The reference kernels on a deliberately minimal array library."""

    def __init__(self) -> None:
        super().__init__("array-api-strict", array_api_strict)

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        """Return `x` on the host, through DLPack as any device library would."""
        # A copy on both sides: NumPy before 2.1 hands on no array that is read-only, as broadcast ones are.
        return np.array(np.from_dlpack(array_api_strict.asarray(x, copy=True)))
