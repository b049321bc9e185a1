"""A case with the reference at hand, to compute what a mistake would give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_validation.conformance.case import Case
from refmg_validation.conformance.grading import named_outputs
from refmg_validation.conformance.reference.formulas import FORMULAS

Arrays = NDArray[Any]
Outputs = dict[str, Arrays]
Change = Callable[[Arrays], Arrays]
Names = tuple[str, ...]

STENCILS = ("stencil", "stencils", "opening")
OF_EXAMPLES = ("features", "images", "cotangent", "fine_features")


@dataclass(frozen=True)
class Attempt:
    """What one mistake would give.

    Attributes
    ----------
    mistake : str
        Its name, such as ``"flipped stencil"``.
    told : str
        What was done and what is right, in a sentence.
    outputs : callable
        The outputs by name; may raise a ``ValueError`` where the mistake cannot be made.
    """

    mistake: str
    told: str
    outputs: Callable[[], Outputs]

    @cached_property
    def made(self) -> Outputs:
        """The outputs, computed once; none where the mistake cannot be made."""
        # What does not fit together is refused by the reference or by NumPy.
        try:
            return self.outputs()
        except (ValueError, IndexError, KeyError, np.linalg.LinAlgError):
            return {}


Attempts = Iterator[Attempt]


class Problem:
    """A case, and the reference backend's answers to changed inputs.

    Parameters
    ----------
    case : Case
        What was asked.
    wrong : iterable of str
        Names of the outputs that were found wrong.
    """

    def __init__(self, case: Case, wrong: list[str]) -> None:
        self.case, self.wrong = case, wrong

    @property
    def inputs(self) -> dict[str, Any]:
        """Inputs of the case, float64."""
        return self.case.inputs

    def has(self, *names: str) -> bool:
        """Whether the case has all these inputs."""
        return all(name in self.inputs for name in names)

    def number(self, name: str) -> float:
        """Return an input that is a number."""
        return float(self.inputs[name])

    @cached_property
    def ndim(self) -> int:
        """Number of grid axes."""
        names = [n for n in (*OF_EXAMPLES, "stencil", "opening", "W") if self.has(n)]
        return np.ndim(self.inputs[names[0]]) - 2 if names else 0

    @cached_property
    def cells(self) -> tuple[int, ...]:
        """Cells of the grid; empty where there is none."""
        names = [n for n in (*OF_EXAMPLES, "W") if self.has(n)]
        return np.shape(self.inputs[names[0]])[1:-1] if names else ()

    @cached_property
    def examples(self) -> int:
        """Number of examples; 1 where there are none."""
        names = [n for n in OF_EXAMPLES if self.has(n)]
        return int(np.shape(self.inputs[names[0]])[-1]) if names else 1

    def reference(self, function: str | None = None, /, **changes: Any) -> Outputs:
        """Return the reference's outputs for changed inputs, or those of another function.

        With another function, `changes` are all its inputs.
        """
        from refmg_validation.adapters.backends import Adapter

        name = function or self.case.function
        inputs = changes if function else self.inputs | changes
        found = getattr(Adapter("numpy"), name, None)
        # What refmg itself has no function for has a formula.
        return named_outputs(self.case, found(**inputs) if found else FORMULAS[name](inputs))

    def where(self, kind: Names) -> Names:
        """Return the inputs of these names, and directions of them."""
        return tuple(n for n in self.inputs if n.removesuffix("_direction") in kind)

    def with_changed(
        self, names: Names, change: Change, outputs: Names = (), back: Change | None = None
    ) -> Outputs:
        """Return the reference's outputs for changed inputs; then some of the outputs changed as well."""
        found = self.reference(**{name: change(self.inputs[name]) for name in names})
        return _changed(found, outputs, back or change)

    def expected_but(self, names: Names, change: Change) -> Outputs:
        """Return the expected outputs, some of them changed."""
        return _changed(self.case.expected, names, change)

    def all_changed(self, change: Change) -> Outputs:
        """Return the expected outputs, all of them changed."""
        return {name: change(value) for name, value in self.case.expected.items()}


def _changed(outputs: Outputs, names: Names, change: Change) -> Outputs:
    return {n: change(a) if n in names else a for n, a in outputs.items()}


def times(factor: float) -> Change:
    """Return the multiplication by a number."""
    return partial(np.multiply, factor)
