"""The time grid of the controls, apart from that of the states."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from refmg_backends import RefmgError, one_of

INTERPOLATIONS = ("linear", "constant")

# Controls and weights whose combination is the parameter at one time.
Weights = tuple[tuple[int, Fraction], ...]


@dataclass(frozen=True)
class ControlGrid:
    """Controls at the left end points ``j T / M`` of M equal intervals, and what lies between.

    Parameters
    ----------
    nodes : int
        Number M of controls.
    interpolation : {"linear", "constant"}
        ``"linear"`` between neighbours, constant after the last node; ``"constant"`` on each interval.

    Raises
    ------
    RefmgError
        If there is no control or the interpolation is unknown.

    Notes
    -----
    With as many controls as steps, forward Euler and leapfrog see exactly control k in step k, whatever
    the interpolation. All positions are rational, so that no control is missed or taken twice by
    rounding.

    A step that ends at a jump of piecewise constant controls takes the value before it.

    Examples
    --------
    >>> grid = ControlGrid(2, "linear")
    >>> [[(j, str(w)) for j, w in grid.weights(Fraction(k, 4))] for k in range(4)]
    [[(0, '1')], [(0, '1/2'), (1, '1/2')], [(1, '1')], [(1, '1')]]
    """

    nodes: int
    interpolation: str = "linear"

    def __post_init__(self) -> None:
        """Refuse what is not a grid."""
        if self.nodes < 1:
            raise RefmgError(f"found {self.nodes} controls; expected 1 or more")
        if self.interpolation not in INTERPOLATIONS:
            raise RefmgError(one_of("interpolation", self.interpolation, INTERPOLATIONS))

    def weights(self, time: Fraction, before: bool = False) -> Weights:
        """Return the controls at a time and their weights, which sum to 1.

        Parameters
        ----------
        time : Fraction
            As a fraction of T, between 0 and 1.
        before : bool
            At a jump, take the value before it: for the end of a step.
        """
        place = time * self.nodes
        j = min(int(place), self.nodes - 1)
        between = place - j
        if self.interpolation == "constant":
            return ((j - 1 if before and j and not between else j, Fraction(1)),)
        if not between or j == self.nodes - 1:
            return ((j, Fraction(1)),)
        return ((j, 1 - between), (j + 1, between))
