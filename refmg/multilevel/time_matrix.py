"""Interpolation in time as small exact matrices, from the nodes of one depth to those of another."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from refmg.rational import RationalMatrix, identity
from refmg.time_grid import ControlGrid, Weights
from refmg_backends import RefmgError, one_of

POINTS = 4  # that a cubic goes through
# Where a node stands in its interval, as a fraction of it.
TIME_NODES = {"left": Fraction(0), "cell-centred": Fraction(1, 2)}


def time_matrix(
    old: int, new: int, interpolation: str = "linear", time_nodes: str = "left"
) -> RationalMatrix:
    r"""Return the matrix from values at `old` nodes to values at `new` ones, both on ``[0, T)``.

    Parameters
    ----------
    old, new : int
        Numbers of nodes M; one a multiple of the other.
    interpolation : {"linear", "cubic", "constant"}
        ``"linear"`` between neighbours. ``"cubic"``: the polynomial through the four nearest nodes, two on
        either side where there are two, else the first or the last four (all nodes if there are fewer).
        ``"constant"``: the value of the interval. To fewer nodes it makes no difference.
    time_nodes : {"left", "cell-centred"}
        At ``j T / M``, the left ends of M equal intervals, or at ``(j + 1/2) T / M``, their middles.

    Returns
    -------
    ndarray of Fraction, shape (new, old)
        Rows sum to 1.

    Raises
    ------
    RefmgError
        If neither number is a multiple of the other, or a name is unknown.

    Notes
    -----
    Nodes before the first old one and after the last take its value, whatever the interpolation (Meganet's
    rule for the last): a polynomial would have to be extrapolated there. So ``"cubic"`` is exact for cubics
    between the first old node and the last.

    To fewer nodes: from left ends by injection, as every new node is an old one, which undoes all three
    interpolations; from middles by the mean of the old intervals in each new one, which undoes
    ``"constant"`` and is exact for linear functions, as restriction of images is on cell-centred grids.

    Examples
    --------
    >>> print(time_matrix(2, 4).astype(str))
    [['1' '0']
     ['1/2' '1/2']
     ['0' '1']
     ['0' '1']]
    >>> print(time_matrix(4, 8, "cubic")[3].astype(str))
    ['-1/16' '9/16' '9/16' '-1/16']
    >>> print(time_matrix(2, 4, time_nodes="cell-centred").astype(str))
    [['1' '0']
     ['3/4' '1/4']
     ['1/4' '3/4']
     ['0' '1']]
    """
    if interpolation not in INTERPOLATIONS:
        raise RefmgError(one_of("interpolation in time", interpolation, INTERPOLATIONS))
    if time_nodes not in TIME_NODES:
        raise RefmgError(one_of("nodes in time", time_nodes, TIME_NODES))
    if min(old, new) < 1 or max(old, new) % min(old, new):
        raise RefmgError(
            f"found {old} nodes in time to be moved to {new}; expected one number to be a multiple of the "
            "other: take depths such as 2, 4, 8"
        )
    if new < old:
        return _fewer(old, new, time_nodes)
    offset, matrix = TIME_NODES[time_nodes], np.full((new, old), Fraction(0), dtype=object)
    for k in range(new):
        interval = (k + offset) * Fraction(old, new)
        for j, weight in INTERPOLATIONS[interpolation](old, interval, interval - offset):
            matrix[k, j] = weight
    return matrix


def _fewer(old: int, new: int, time_nodes: str) -> RationalMatrix:
    factor = old // new
    if time_nodes == "left":
        return identity(old)[::factor]
    return np.kron(identity(new), np.full((1, factor), Fraction(1, factor), dtype=object))


def _cubic(nodes: int, place: Fraction) -> Weights:
    if not 0 < place < nodes - 1:
        return ((0 if place <= 0 else nodes - 1, Fraction(1)),)
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


# From the number of nodes, the place in old intervals and that among the old nodes, to the weights.
INTERPOLATIONS: dict[str, Callable[[int, Fraction, Fraction], Weights]] = {
    "linear": lambda nodes, interval, place: ControlGrid(nodes).weights(max(place, Fraction(0)) / nodes),
    "cubic": lambda nodes, interval, place: _cubic(nodes, place),
    "constant": lambda nodes, interval, place: ControlGrid(nodes, "constant").weights(interval / nodes),
}
