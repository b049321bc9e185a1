r"""Activations and the linear parts of a residual step, each one pass over memory.

``tanh`` is Lambert's continued fraction at ``x/32``, as a quotient of polynomials, doubled five times by
:math:`\tanh 2u = 2 p q / (p^2 + q^2)` for :math:`\tanh u = p / q`: no branch, one division, so that the
compiler turns it into vector instructions. Doubling damps relative errors; what remains is below
8 units in the last place (tested).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from refmg_backends.activation import CORNER

IDENTITY, TANH, RELU, SMOOTH_RELU = range(4)
CODES = {"identity": IDENTITY, "tanh": TANH, "relu": RELU, "smooth-relu": SMOOTH_RELU}
# tanh u = u P(u^2) / Q(u^2) up to 2e-17 for |u| <= 0.6: convergent 8 of Lambert's continued fraction
# u / (1 + u^2 / (3 + u^2 / (5 + ..))), both polynomials divided by 2027025.
_LAMBERT_P = (2027025.0, 270270.0, 6930.0, 36.0)
_LAMBERT_Q = (2027025.0, 945945.0, 51975.0, 630.0, 1.0)
_SUM_BLOCKS = 8  # fixed, so that sums do not depend on the number of threads


@cache
def constants(dtype: str) -> NDArray[Any]:
    """Return the numbers that the activations need, in the precision of the features.

    As literals in compiled code they would be doubles, and turn float32 arithmetic into float64.
    """
    # Beyond these arguments tanh rounds to 1.
    limit = {"float32": 9.1, "float64": 19.1}[dtype]
    p, q = ([a / 2027025.0 for a in part] for part in (_LAMBERT_P, _LAMBERT_Q))
    found = np.array([0, 1, limit, 1 / 32, *p, *q, CORNER, 1 / (4 * CORNER), 1 / (2 * CORNER)], dtype=dtype)
    return found


@njit(cache=True)
def _activate(x, k, code):
    """Return the activation and its derivative at x."""
    zero, one = k[0], k[1]
    if code == TANH:
        u = (k[2] if x > k[2] else (-k[2] if x < -k[2] else x)) * k[3]
        z = u * u
        p = u * (k[4] + z * (k[5] + z * (k[6] + z * k[7])))
        q = k[8] + z * (k[9] + z * (k[10] + z * (k[11] + z * k[12])))
        p, q = p * q + p * q, p * p + q * q
        p, q = p * q + p * q, p * p + q * q
        p, q = p * q + p * q, p * p + q * q
        p, q = p * q + p * q, p * p + q * q
        p, q = p * q + p * q, p * p + q * q
        a = p / q
        return a, one - a * a
    if code == RELU:
        return (zero if x <= zero else x), (one if x > zero else zero)
    if code == SMOOTH_RELU:
        ramp = (x + k[13]) * k[15]
        shifted = x + k[13]
        a = zero if x <= -k[13] else (x if x >= k[13] else shifted * shifted * k[14])
        return a, (zero if ramp < zero else (one if ramp > one else ramp))
    return x, one


@njit(cache=True)
def _line(x, slope, base, bias, k, scale, use_base, use_slope, code):
    """Overwrite one line ``x`` by ``base + scale * sigma(x + bias)``, and ``slope`` by its derivative."""
    for l in range(x.size):  # noqa: E741
        a, s = _activate(x[l] + bias, k, code)
        if use_slope:
            slope[l] = s
        if use_base:
            x[l] = base[l] + scale * a
        else:
            x[l] = scale * a


@njit(cache=True)
def finish(x, slope, base, bias, k, scale, use_base, use_slope, code):
    """Do what :func:`_line` does, the activation chosen outside its loop, else nothing vectorises."""
    if code == TANH:
        _line(x, slope, base, bias, k, scale, use_base, use_slope, TANH)
    elif code == RELU:
        _line(x, slope, base, bias, k, scale, use_base, use_slope, RELU)
    elif code == SMOOTH_RELU:
        _line(x, slope, base, bias, k, scale, use_base, use_slope, SMOOTH_RELU)
    else:
        _line(x, slope, base, bias, k, scale, use_base, use_slope, IDENTITY)


@njit(parallel=True, cache=True, nogil=True)
def tangent(slope, X, bias, base, use_base, scale, out):
    """Write ``base + scale * slope * (X + bias)``; every array of shape ``(C, size)``, bias ``(C,)``."""
    channels, size = X.shape
    for u in prange(channels * _SUM_BLOCKS):
        c, j = u // _SUM_BLOCKS, u % _SUM_BLOCKS
        b = bias[c]
        for i in range(j * size // _SUM_BLOCKS, (j + 1) * size // _SUM_BLOCKS):
            rate = scale * (slope[c, i] * (X[c, i] + b))
            out[c, i] = base[c, i] + rate if use_base else rate


@njit(parallel=True, cache=True, nogil=True)
def cotangent(slope, P, scale, Q, sums):
    """Write ``Q = scale * slope * P``, shape ``(C, cells, m)``, and its sums by channel and block."""
    channels, cells, m = P.shape
    for u in prange(channels * _SUM_BLOCKS):
        c, j = u // _SUM_BLOCKS, u % _SUM_BLOCKS
        # One sum an example, so that the additions are vectors and nothing is reordered.
        columns = np.zeros(m, P.dtype)
        for i in range(j * cells // _SUM_BLOCKS, (j + 1) * cells // _SUM_BLOCKS):
            for l in range(m):  # noqa: E741
                q = scale * (slope[c, i, l] * P[c, i, l])
                Q[c, i, l] = q
                columns[l] += q
        sums[c, j] = columns.sum()


def sum_blocks() -> int:
    """Return into how many parts :func:`cotangent` divides the cells."""
    return _SUM_BLOCKS
