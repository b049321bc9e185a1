"""How cases are made: inputs of few bits, tolerances from the number of terms, names checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_validation.conformance.case import DTYPES, Case, Value
from refmg_validation.conformance.functions import FUNCTIONS

Floats = NDArray[np.float64]
Shape = tuple[int, ...]

EXACT = "All numbers are whole and small, so that every order of summation gives the same bits."


@dataclass(frozen=True)
class Rounding:
    """A tolerance of ``factor * eps``, and why."""

    factor: float
    reason: str


def sums(terms: int, stages: int = 1) -> Rounding:
    """Return the tolerance of sums of so many products, carried through so many stages.

    Examples
    --------
    >>> sums(18).factor
    36.0
    """
    reason = f"2 n eps: sums of n = {terms} products, with 2 for cancellation in them"
    if stages > 1:
        reason += f"; {stages} stages add up"
    return Rounding(2.0 * terms * stages, f"{reason}.")


class Draw:
    """Numbers of a case, from SHAKE-256 of its name: no other case and no version of NumPy changes them.

    Examples
    --------
    >>> Draw("a").whole((3,)), Draw("a").dyadic((2,))
    (array([3., 1., 1.]), array([ 0.546875, -0.0625  ]))
    """

    def __init__(self, name: str) -> None:
        self.name, self.calls = name, 0

    def integers(self, largest: int, shape: Shape) -> Floats:
        """Return whole numbers from -largest to largest."""
        self.calls += 1
        digest = hashlib.shake_256(f"{self.name} {self.calls}".encode()).digest(4 * prod(shape))
        drawn = np.frombuffer(digest, dtype="<u4").astype(np.int64) % (2 * largest + 1) - largest
        return drawn.reshape(shape).astype(np.float64)

    def whole(self, shape: Shape, largest: int = 6, unit: int = 1) -> Floats:
        """Return whole numbers, multiples of `unit`."""
        return unit * self.integers(largest, shape)

    def dyadic(self, shape: Shape, largest: float = 1.0) -> Floats:
        """Return multiples of ``largest / 64`` from -largest to largest."""
        return self.integers(64, shape) * (largest / 64)


def make(
    name: str,
    level: str,
    function: str,
    paragraph: str,
    inputs: Mapping[str, Any],
    expected: Any,
    rounding: Rounding | None = None,
) -> Case:
    """Return a case; without a tolerance it is exact. Its group is given by :mod:`.catalogue`.

    Parameters
    ----------
    name, level, function, paragraph, inputs
        As in :class:`Case`.
    expected : array, or tuple of arrays
        In the order in which the function returns them.
    rounding : Rounding, optional
        Where numbers are rounded.
    """
    about = FUNCTIONS[function]
    assert set(inputs) == set(about.arguments), (name, set(inputs) ^ set(about.arguments))
    parts = expected if isinstance(expected, tuple) else (expected,)
    # Adding 0.0 makes -0 from sums of products to 0, whose sign no one computes alike.
    outputs = {n: np.asarray(np.add(a, 0.0)) for n, a in zip(about.returns, parts, strict=True)}
    if rounding is None:
        _check_whole(name, inputs, outputs)
    factor = rounding.factor if rounding else 0.0
    return Case(
        name=name,
        group="",
        level=level,
        paragraph=" ".join(paragraph.split()),
        function=function,
        inputs={n: _owned(inputs[n]) for n in about.arguments},
        expected=outputs,
        tolerance={dtype: factor * float(np.finfo(dtype).eps) for dtype in DTYPES},
        reason=rounding.reason if rounding else EXACT,
        exact=rounding is None,
    )


def _owned(value: Value) -> Value:
    """Return arrays as float64 or int64, in C order."""
    if not isinstance(value, np.ndarray):
        return value
    return np.ascontiguousarray(value.astype(np.float64 if value.dtype.kind == "f" else np.int64))


def _check_whole(name: str, inputs: Mapping[str, Any], outputs: dict[str, Floats]) -> None:
    arrays = [v for v in inputs.values() if isinstance(v, np.ndarray)] + list(outputs.values())
    for array in arrays:
        # Beyond 2^20 float32 might round in between.
        assert np.array_equal(array, np.rint(array)), name
        assert np.abs(array).max(initial=0) < 2**20, name
