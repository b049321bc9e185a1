"""Eigenvectors of the map of stencils: discrete derivatives, exact in fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial

import numpy as np

from refmg.axis_map import RationalMatrix, axis_map
from refmg.rational import identity, null_space
from refmg.transfer import Transfer, named_pair
from refmg_backends import RefmgError


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
    Up to the degree that :func:`reproduced_degree` returns, the moments of :math:`s_H = T s_h` of order q
    are :math:`f^{-q}` times those of :math:`s_h` plus a combination of lower ones. So :math:`f^{-q}` is an
    eigenvalue, and if a simple one, its eigenvector has no moments below q. That is so up to third
    derivatives for ``"linear"`` and up to first ones for ``"average"``, although the latter has
    ``R P = I`` and so keeps polynomials of every degree.

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


def reproduced_degree(transfer: Transfer = "linear", factor: int = 2) -> int:
    r"""Return the largest q for which :math:`\sum_J J^q c_{fJ-j}` is a polynomial in every fine place j.

    Parameters
    ----------
    transfer : str or callable
        A pair, see :func:`refmg.named_pair`.
    factor : int
        Coarsening factor, 2 or more.

    Returns
    -------
    int
        -1 if not even :math:`\sum_J c_{fJ-j}` is the same for all j.

    Raises
    ------
    RefmgError
        If the factor is below 2 or the transfer unknown.

    Notes
    -----
    These sums are R, applied around every fine cell, to P of the coarse polynomial. They are polynomials,
    with leading term :math:`f^{-q} j^q`, exactly if the composite has sum rules of order q + 1: a zero of
    that order at each root of unity other than 1, which is to say the factor
    :math:`(1 + z + \dots + z^{f-1})^{q+1}`.

    Examples
    --------
    >>> reproduced_degree("linear"), reproduced_degree("average")
    (3, 1)
    """
    if factor < 2:
        raise RefmgError(f"found factor {factor}; expected 2 or more")
    c, degree = list(named_pair(transfer, factor).composite().weights), -1
    while (quotient := _by_geometric_sum(c, factor)) is not None:
        c, degree = quotient, degree + 1
    return degree


def _by_geometric_sum(c: list[Fraction], factor: int) -> list[Fraction] | None:
    """Return a polynomial over ``1 + z + .. + z^(f-1)``, lowest power first; None if a rest is left."""
    if len(c) < factor:
        return None
    rest, quotient = list(c), []
    for i in range(len(c) - factor + 1):
        quotient.append(rest[i])
        for k in range(factor):
            rest[i + k] -= quotient[-1]
    return None if any(rest) else quotient


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
