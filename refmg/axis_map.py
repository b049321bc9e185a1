"""The map of stencils on one axis, in fractions, and the taps that it needs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.transfer import TransferPair

RationalMatrix = NDArray[Any]  # of Fraction, or of float for pseudoinverses


def coarse_width(pair: TransferPair, width: int, stride: int = 1) -> int:
    """Return the taps that the restriction of a stencil of this width needs on one axis.

    Parameters
    ----------
    pair : TransferPair
        R and P of the axis.
    width : int
        Taps of the fine stencil, odd.
    stride : int
        Of the convolution.

    Returns
    -------
    int
        Odd.

    Examples
    --------
    >>> from refmg.transfer import named_pair
    >>> coarse_width(named_pair("linear", 2), 3), coarse_width(named_pair("average", 2), 5)
    (3, 3)
    >>> coarse_width(named_pair("linear", 2), 3, stride=2)
    5
    """
    composite = pair.composite(stride)
    reach = max(abs(t) for t, weight in composite.items() if weight)
    return 2 * ((width // 2 + reach) // pair.factor) + 1


def axis_map(pair: TransferPair, width: int, coarse: int | None = None, stride: int = 1) -> RationalMatrix:
    """Return the exact map of one axis, ``T_{J j} = c_{f J - j}``.

    Parameters
    ----------
    pair : TransferPair
        R and P of the axis.
    width : int
        Taps of the fine stencil, odd.
    coarse : int, optional
        Taps of the coarse stencil, odd; `width` by default.
    stride : int
        Of the convolution.

    Returns
    -------
    ndarray of Fraction, shape (coarse, width)

    Examples
    --------
    >>> from refmg.transfer import named_pair
    >>> [[str(t) for t in row] for row in axis_map(named_pair("average", 2), 3)]
    [['1/2', '0', '0'], ['1/2', '1', '1/2'], ['0', '0', '1/2']]
    """
    half, reach, composite = width // 2, (coarse or width) // 2, dict(pair.composite(stride).items())
    fine, targets = range(-half, half + 1), range(-reach, reach + 1)
    rows = [[composite.get(pair.factor * J - j, Fraction(0)) for j in fine] for J in targets]
    return np.array(rows, dtype=object)
