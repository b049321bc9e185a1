"""Controls at other nodes in time, and all parameters on a finer level."""

from __future__ import annotations

from math import prod

import numpy as np

from refmg_validation.conformance.build import Floats, Shape
from refmg_validation.conformance.reference.propagation import in_time
from refmg_validation.conformance.reference.transfers import prolong, prolong_stencil


def at_nodes(values: Floats, nodes: int, interpolation: str) -> Floats:
    """Return values at new nodes ``k / nodes``; to fewer nodes, every second, third, .. one.

    Examples
    --------
    >>> at_nodes(np.array([0.0, 4.0]), 4, "linear")
    array([0., 2., 4., 4.])
    """
    old = len(values)
    if nodes < old:
        return values[:: old // nodes]
    if interpolation == "constant":
        return np.repeat(values, nodes // old, axis=0)
    if interpolation == "linear":
        return np.stack([in_time(values, k / nodes) for k in range(nodes)])
    return np.stack([_cubic(values, k * old / nodes) for k in range(nodes)])


def _cubic(values: Floats, place: float) -> Floats:
    """Return the cubic through the four nodes nearest to a place, in Lagrange's form."""
    last = len(values) - 1
    first = min(max(int(place) - 1, 0), last - 3)
    at, nodes = min(place, float(last)), range(first, first + 4)
    weights = [prod((at - i) / (j - i) for i in nodes if i != j) for j in nodes]
    return np.asarray(sum(w * values[j] for w, j in zip(weights, nodes, strict=True)))


def switch_level(
    opening: Floats,
    stencils: Floats,
    biases: Floats,
    W: Floats,
    mu: Floats,
    transfer: str,
    shape: Shape,
    nodes: int,
    boundary: str,
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return all parameters on the finer grid and at more nodes in time."""
    factor = shape[0] // W.shape[1]
    finer = np.stack([prolong_stencil(s, transfer, factor) for s in stencils])
    return (
        prolong_stencil(opening, transfer, factor),
        at_nodes(finer, nodes, "linear"),
        at_nodes(biases, nodes, "linear"),
        prolong(W, transfer, factor, boundary),
        mu,
    )
