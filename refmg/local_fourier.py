r"""Local Fourier analysis: what fine and coarse operators do to each frequency."""

from __future__ import annotations

from functools import reduce
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refmg.stencil import per_axis, with_channels
from refmg.transfer import Shape, Transfer, coarse_shape, named_pair

Symbol = NDArray[np.complex128]


def stencil_symbol(stencil: ArrayLike, shape: Shape, step: int | Shape = 1) -> Symbol:
    r"""Return the symbol :math:`\hat s(\theta) = \sum_j s_j e^{i f\theta j}` at the frequencies of a grid.

    Parameters
    ----------
    stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        Taps.
    shape : tuple of int
        Cells; frequencies in the order of ``numpy.fft.fftfreq``.
    step : int or tuple of int
        Distance f of the taps in cells: the factor, for a coarse stencil seen from the fine grid.

    Returns
    -------
    ndarray, shape (C_out, C_in, n_1, .., n_d)

    Examples
    --------
    >>> stencil_symbol([1.0, -2.0, 1.0], (4,)).real.round(12)
    array([[[ 0., -2., -4., -2.]]])
    """
    s: NDArray[Any] = with_channels(stencil, len(shape)).astype(np.complex128)
    for axis, (n, f) in enumerate(zip(shape, per_axis("step", step, len(shape)), strict=True), start=2):
        k = s.shape[axis]
        waves = np.exp(2j * np.pi * np.outer(np.fft.fftfreq(n), f * (np.arange(k) - k // 2)))
        s = np.moveaxis(np.tensordot(waves, s, axes=(1, axis)), 0, axis)
    return s


def transfer_symbols(
    shape: Shape, transfer: Transfer = "linear", factor: int | Shape = 2
) -> tuple[Symbol, Symbol]:
    r"""Return the symbols of R and P at the frequencies of the fine grid.

    Parameters
    ----------
    shape : tuple of int
        Cells of the **fine** grid.
    transfer : str or callable
        See :func:`refmg.named_pair`.
    factor : int or tuple of int
        Coarsening factor.

    Returns
    -------
    r, p : ndarray, shape (n_1, .., n_d)
        :math:`R e^{i\theta x} = \hat r(\theta) e^{i f \theta X}` and
        :math:`P e^{i\Theta X} = \sum \hat p(\theta) e^{i\theta x}`, summed over the :math:`f^d` aliases
        with :math:`f\theta = \Theta` modulo :math:`2\pi`.

    Examples
    --------
    >>> r, p = transfer_symbols((4,))
    >>> (abs(r).round(3), abs(p).round(3))
    (array([1.   , 0.707, 0.   , 0.707]), array([1.   , 0.354, 0.   , 0.354]))
    """
    r, p = [], []
    for n, f in zip(shape, per_axis("factor", factor, len(shape)), strict=True):
        pair, theta = named_pair(transfer, f), 2 * np.pi * np.fft.fftfreq(n)
        r.append(sum(float(w) * np.exp(1j * theta * a) for a, w in pair.restriction.items()))
        p.append(sum(float(w) * np.exp(-1j * theta * b) for b, w in pair.prolongation.items()) / f)
    return reduce(np.multiply.outer, r), reduce(np.multiply.outer, p)


def galerkin_symbol(
    stencil: ArrayLike, shape: Shape, transfer: Transfer = "linear", factor: int | Shape = 2
) -> Symbol:
    r"""Return the symbol of ``R K(s) P`` at the frequencies of the coarse grid.

    Parameters
    ----------
    stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        Fine stencil.
    shape, transfer, factor
        As in :func:`transfer_symbols`.

    Returns
    -------
    ndarray, shape (C_out, C_in, N_1, .., N_d)
        :math:`\hat K_H(\Theta) = \sum \hat r(\theta)\, \hat s(\theta)\, \hat p(\theta)` over the aliases of
        :math:`\Theta`: a mean of the fine symbol, weighted by R and P. The eigenvalues of the explicit
        product.

    Raises
    ------
    RefmgError
        If the factor does not divide the grid.

    Examples
    --------
    >>> galerkin_symbol([1.0, -2.0, 1.0], (8,)).real.round(12) + 0.0
    array([[[ 0. , -0.5, -1. , -0.5]]])
    """
    factors, coarse = per_axis("factor", factor, len(shape)), coarse_shape(shape, factor)
    r, p = transfer_symbols(shape, transfer, factors)
    weighted = stencil_symbol(stencil, shape) * (r * p)
    # Fine frequency number m N + M is an alias of coarse number M: split each axis in two, sum over m.
    split = [size for f, n in zip(factors, coarse, strict=True) for size in (f, n)]
    return np.asarray(
        weighted.reshape(*weighted.shape[:2], *split).sum(axis=tuple(range(2, 2 + 2 * len(coarse), 2)))
    )


def symbol_error(
    fine: ArrayLike, coarse: ArrayLike, shape: Shape, transfer: Transfer = "linear", factor: int | Shape = 2
) -> NDArray[np.float64]:
    r"""Return how far ``K_H R`` is from ``R K_h``, frequency by frequency of the fine grid.

    Parameters
    ----------
    fine, coarse : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        ``s_h`` and ``s_H``.
    shape : tuple of int
        Cells of the **fine** grid.
    transfer, factor
        Give R.

    Returns
    -------
    ndarray, shape (C_out, C_in, n_1, .., n_d)
        :math:`|\hat r(\theta)|\,|\hat s_H(f\theta) - \hat s_h(\theta)|`: the difference of both responses to
        the image :math:`e^{i\theta x}`. Weighted by the power of images, its mean square is what
        :class:`PredictiveMap` minimises.

    Examples
    --------
    >>> symbol_error([1.0, -2.0, 1.0], [0.25, -0.5, 0.25], (8,)).round(3)
    array([[[0.   , 0.079, 0.707, 1.115, 0.   , 1.115, 0.707, 0.079]]])
    """
    difference = stencil_symbol(coarse, shape, factor) - stencil_symbol(fine, shape)
    return np.asarray(np.abs(difference * transfer_symbols(shape, transfer, factor)[0]))


def aliases(frequency: tuple[int, ...], coarse: Shape, factor: int | Shape = 2) -> list[tuple[int, ...]]:
    """Return the fine frequencies, as numbers of waves, that one coarse frequency cannot tell apart.

    Examples
    --------
    >>> aliases((1,), (4,))
    [(1,), (5,)]
    """
    factors = per_axis("factor", factor, len(coarse))
    axes = [[k + n * m for m in range(f)] for k, n, f in zip(frequency, coarse, factors, strict=True)]
    return list(product(*axes))
