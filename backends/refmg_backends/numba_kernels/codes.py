"""Numbers that stand for the activations in compiled code, and the constants that they need."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends.activation import CORNER

IDENTITY, TANH, RELU, SMOOTH_RELU = range(4)
CODES = {"identity": IDENTITY, "tanh": TANH, "relu": RELU, "smooth-relu": SMOOTH_RELU}
# Beyond the limits tanh rounds to 1; halved so many times, the arguments are at most 2.3 and 0.6.
LIMITS, DOUBLINGS = {"float32": 9.1, "float64": 19.1}, {"float32": 2, "float64": 5}
# tanh u = u P(u^2) / Q(u^2), convergents 9 and 8 of Lambert's continued fraction
# u / (1 + u^2 / (3 + u^2 / (5 + ..))): up to 3e-10 for |u| <= 2.3, and 2e-17 for |u| <= 0.6.
_LAMBERT = {
    "float32": (
        (34459425.0, 4729725.0, 135135.0, 990.0, 1.0),
        (34459425.0, 16216200.0, 945945.0, 13860.0, 45.0),
    ),
    "float64": ((2027025.0, 270270.0, 6930.0, 36.0, 0.0), (2027025.0, 945945.0, 51975.0, 630.0, 1.0)),
}
# Where the constants of each kind begin.
LIMIT, SHRINK, P, Q, CORNER_AT, PARABOLA, RAMP = 0, 1, 2, 7, 12, 13, 14


@cache
def constants(dtype: str) -> NDArray[Any]:
    """Return the numbers that the activations need, in the precision of the features.

    As literals in compiled code they would be doubles, and turn float32 arithmetic into float64.
    """
    p, q = ([a / part[0] for a in part] for part in _LAMBERT[dtype])
    corner = [CORNER, 1 / (4 * CORNER), 1 / (2 * CORNER)]
    return np.array([LIMITS[dtype], 0.5 ** DOUBLINGS[dtype], *p, *q, *corner], dtype=dtype)
