"""Eigenvectors of the map of stencils: discrete derivatives, exact in fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial

import numpy as np

from refmg.axis_map import RationalMatrix, axis_map
from refmg.rational import identity, null_space
from refmg.transfer import Transfer, named_pair


@dataclass(frozen=True)
class Derivative:
    """An eigenvector of the 1-D map.

    Attributes
    ----------
    order : int
        p: the stencil is exactly p-th derivative, in pixel units, of the polynomial ``x^p``, and 0 on those
        of lower degree.
    eigenvalue : Fraction
        ``factor^-p``.
    stencil : ndarray of Fraction, shape (k,)
        Scaled so that it gives ``p!`` on ``x^p``.
    """

    order: int
    eigenvalue: Fraction
    stencil: RationalMatrix


def derivatives(transfer: Transfer = "linear", width: int = 3, factor: int = 2) -> list[Derivative]:
    r"""Return the eigenvectors of the 1-D map that are discrete derivatives.

    Parameters
    ----------
    transfer : str or callable
        A pair, see :func:`refmg.named_pair`.
    width : int
        Taps, odd.
    factor : int
        Coarsening factor, 2 or more.

    Returns
    -------
    list of Derivative
        Of the orders 0, 1, .. for which :math:`f^{-p}` is an eigenvalue with a stencil whose moments
        :math:`\sum_j j^q s_j` vanish for ``q < p`` and not for ``q = p``. Where several have,
        one that is symmetric or antisymmetric.

    Notes
    -----
    Where interpolated polynomials are restricted to polynomials, the moments of :math:`s_H = T s_h`
    of order q are :math:`f^{-q}` times those of :math:`s_h` plus a combination of lower ones. So the
    eigenvector to :math:`f^{-p}` has no moments below p. ``"linear"`` has this up to cubic polynomials
    (its composite is the cubic B-spline's mask), ``"average"`` up to linear ones.

    Examples
    --------
    >>> for d in derivatives("linear"):
    ...     print(d.order, d.eigenvalue, [str(tap) for tap in d.stencil])
    0 1 ['1/6', '2/3', '1/6']
    1 1/2 ['-1/2', '0', '1/2']
    2 1/4 ['1', '-2', '1']
    >>> [d.order for d in derivatives("average")]
    [0, 1]
    """
    T = axis_map(named_pair(transfer, factor), width)
    return [d for p in range(width) if (d := _derivative(T, p, Fraction(1, factor**p))) is not None]


def _derivative(T: RationalMatrix, order: int, eigenvalue: Fraction) -> Derivative | None:
    """Return the eigenvector of this order; of several, one that is even or odd as the order is."""
    places = np.array([Fraction(j - len(T) // 2) for j in range(len(T))], dtype=object)
    vectors = list(null_space(T - eigenvalue * identity(len(T))).T)
    for v in [*(v + (-1) ** order * v[::-1] for v in vectors), *vectors]:
        moments = [np.sum(places**q * v) for q in range(order + 1)]
        own = np.array_equal(T @ v, eigenvalue * v)
        if own and moments[order] and not any(moments[:order]):
            return Derivative(order, eigenvalue, v * factorial(order) / moments[order])
    return None
