"""One case: a function, its inputs, the outputs of the explicit reference, and how far off is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = ("core", "full")
DTYPES = ("float64", "float32")

Value = NDArray[Any] | int | float | str


@dataclass(frozen=True)
class Case:
    """A function of the method at one input, with the output of the explicit reference.

    Attributes
    ----------
    name : str
        Unique, of lower-case letters, digits and hyphens: a folder's name.
    group : str
        What it belongs to, such as ``"convolution"``.
    level : {"core", "full"}
        ``"core"`` for what every implementation has to get right first.
    paragraph : str
        What the case is about, and which mistake it would show.
    function : str
        One of :data:`refmg_validation.conformance.FUNCTIONS`; it is called with ``**inputs``.
    inputs : dict
        Arrays (float64, or int64 for labels, shapes and widths), numbers and names. Floats have so few bits
        that float32 holds them exactly.
    expected : dict of ndarray
        Outputs by name, float64; a number is an array of shape ``()``.
    tolerance : dict of float
        By the name of the type in which was computed: the largest error allowed in an entry of an output,
        as a multiple of the largest entry of the expected one.
    reason : str
        Where the tolerance comes from.
    exact : bool
        Whether all numbers are whole and small, so that nothing rounds and ``==`` is asked for.
    """

    name: str
    group: str
    level: str
    paragraph: str
    function: str
    inputs: dict[str, Value]
    expected: dict[str, NDArray[np.float64]]
    tolerance: dict[str, float]
    reason: str
    exact: bool = field(default=False)

    def bound(self, output: str, dtype: str = "float64") -> float:
        """Return the largest error allowed in any entry of an output; 0 for exact cases.

        Examples
        --------
        >>> y = np.array([3.0, -4.0])
        >>> Case("a", "g", "core", "", "f", {}, {"y": y}, {"float64": 1e-15}, "").bound("y")
        4e-15
        """
        largest = float(np.max(np.abs(self.expected[output]), initial=0.0))
        return 0.0 if self.exact else self.tolerance[dtype] * (largest or 1.0)

    def cast(self, dtype: str) -> dict[str, Value]:
        """Return the inputs with floating arrays of this type; what is counted stays whole.

        Examples
        --------
        >>> Case("a", "g", "core", "", "f", {"y": np.ones(1), "n": 3}, {}, {}, "").cast("float32")
        {'y': array([1.], dtype=float32), 'n': 3}
        """
        return {name: _cast(value, dtype) for name, value in self.inputs.items()}


def _cast(value: Value, dtype: str) -> Value:
    floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(dtype) if floating else value  # type: ignore[union-attr]
