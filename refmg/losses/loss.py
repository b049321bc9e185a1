"""What every loss has."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

from refmg_backends import Curvature
from refmg_backends.backend import Array


@dataclass(frozen=True)
class LossPoint:
    """A loss linearised at some logits.

    Attributes
    ----------
    value : array, shape ()
        Summed over the examples; on the device, so that nobody waits for it.
    gradient : array, shape (classes, m)
        In the logits.
    curvature : Curvature
        The Hessians in the logits, one an example.
    """

    value: Array
    gradient: Array
    curvature: Curvature

    def hessian_product(self, direction: Array) -> Array:
        """Return the Hessians times a direction of the logits."""
        return self.curvature.product(direction)


class Loss(Protocol):
    """A function of logits and one-hot targets, both ``(classes, m)``, summed over the examples.

    Attributes
    ----------
    name : str
        As in :data:`refmg.losses.LOSSES`.
    shift_invariant : bool
        Whether a number added to all logits of an example changes nothing.
    """

    name: str
    shift_invariant: bool

    def value(self, xp: ModuleType, logits: Array, targets: Array) -> Array:
        """Return the loss, of shape ``()`` and in the type of the logits."""

    def linearize(self, xp: ModuleType, logits: Array, targets: Array) -> LossPoint:
        """Return loss, gradient and Hessians."""
