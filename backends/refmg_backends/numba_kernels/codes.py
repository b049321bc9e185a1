"""Numbers that stand for the activations in compiled code, and the constants that they need."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends.activation import CORNER

IDENTITY, TANH, RELU, SMOOTH_RELU = range(4)
CODES = {"identity": IDENTITY, "tanh": TANH, "relu": RELU, "smooth-relu": SMOOTH_RELU}
DOUBLINGS = 5
# tanh u = u P(u^2) / Q(u^2) up to 2e-17 for |u| <= 0.6: convergent 8 of Lambert's continued fraction
# u / (1 + u^2 / (3 + u^2 / (5 + ..))), both polynomials divided by 2027025.
_LAMBERT_P = (2027025.0, 270270.0, 6930.0, 36.0)
_LAMBERT_Q = (2027025.0, 945945.0, 51975.0, 630.0, 1.0)
# Where the constants of each kind begin.
LIMIT, SHRINK, P, Q, CORNER_AT, PARABOLA, RAMP = 0, 1, 2, 6, 11, 12, 13


@cache
def constants(dtype: str) -> NDArray[Any]:
    """Return the numbers that the activations need, in the precision of the features.

    As literals in compiled code they would be doubles, and turn float32 arithmetic into float64.
    """
    # Beyond these arguments tanh rounds to 1.
    limit = {"float32": 9.1, "float64": 19.1}[dtype]
    p, q = ([a / 2027025.0 for a in part] for part in (_LAMBERT_P, _LAMBERT_Q))
    corner = [CORNER, 1 / (4 * CORNER), 1 / (2 * CORNER)]
    return np.array([limit, 0.5**DOUBLINGS, *p, *q, *corner], dtype=dtype)
