"""Interpolation in time as small exact matrices, from the nodes of one depth to those of another."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from refmg.rational import RationalMatrix, identity
from refmg.time_grid import ControlGrid, Weights
from refmg_backends import RefmgError, one_of

POINTS = 4  # that a cubic goes through


def time_matrix(old: int, new: int, interpolation: str = "linear") -> RationalMatrix:
    r"""Return the matrix from values at `old` nodes to values at `new` ones, both on ``[0, T)``.

    Parameters
    ----------
    old, new : int
        Numbers of nodes M, at ``j T / M``; one a multiple of the other.
    interpolation : {"linear", "cubic", "constant"}
        ``"linear"`` between neighbours. ``"cubic"``: the polynomial through the four nearest nodes, two on
        either side where there are two, else the first or the last four (all nodes if there are fewer).
        ``"constant"``: the value of the last node before. To fewer nodes every interpolation is injection.

    Returns
    -------
    ndarray of Fraction, shape (new, old)
        Rows sum to 1. A node that both grids have keeps its value.

    Raises
    ------
    RefmgError
        If neither number is a multiple of the other, or the interpolation is unknown.

    Notes
    -----
    Nodes after the last old one take its value, whatever the interpolation (Meganet's rule): a polynomial
    would have to be extrapolated there. So ``"cubic"`` is exact for cubics up to the last old node.

    Examples
    --------
    >>> print(time_matrix(2, 4).astype(str))
    [['1' '0']
     ['1/2' '1/2']
     ['0' '1']
     ['0' '1']]
    >>> print(time_matrix(4, 8, "cubic")[3].astype(str))
    ['-1/16' '9/16' '9/16' '-1/16']
    """
    if interpolation not in INTERPOLATIONS:
        raise RefmgError(one_of("interpolation in time", interpolation, INTERPOLATIONS))
    if min(old, new) < 1 or max(old, new) % min(old, new):
        raise RefmgError(
            f"found {old} nodes in time to be moved to {new}; expected one number to be a multiple of the "
            "other: take depths such as 2, 4, 8"
        )
    if new < old:
        return identity(old)[:: old // new]
    matrix = np.full((new, old), Fraction(0), dtype=object)
    for k in range(new):
        for j, weight in INTERPOLATIONS[interpolation](old, Fraction(k, new)):
            matrix[k, j] = weight
    return matrix


def _cubic(nodes: int, time: Fraction) -> Weights:
    place = time * nodes
    if place >= nodes - 1:
        return ((nodes - 1, Fraction(1)),)
    points = min(POINTS, nodes)
    first = min(max(int(place) - (points - 1) // 2, 0), nodes - points)
    chosen = range(first, first + points)
    return tuple((j, _lagrange(j, chosen, place)) for j in chosen)


def _lagrange(j: int, nodes: range, place: Fraction) -> Fraction:
    """Return at `place` the polynomial that is 1 at node j and 0 at the others."""
    product = Fraction(1)
    for i in nodes:
        if i != j:
            product *= (place - i) / (j - i)
    return product


INTERPOLATIONS: dict[str, Callable[[int, Fraction], Weights]] = {
    "linear": lambda nodes, time: ControlGrid(nodes, "linear").weights(time),
    "cubic": _cubic,
    "constant": lambda nodes, time: ControlGrid(nodes, "constant").weights(time),
}
