"""Second moments of what a fine and a coarse stencil see of the same image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.covariance import Covariance
from refmg.galerkin import check_coarse_grid
from refmg.transfer import Shape, Taps, Transfer, coarse_shape, named_pair

Moments = NDArray[np.float64]


@dataclass(frozen=True)
class SecondMoments:
    r"""Second moments of what the taps of fine and of coarse stencils see.

    A fine tap sees :math:`\varphi_j = (R\,\mathrm{shift}_j\,y)_0`, a coarse one
    :math:`\psi_J = (\mathrm{shift}_J R\,y)_0`. So a fine stencil's response is
    :math:`(R K_h y)_0 = \varphi^T s_h` and a coarse one's :math:`(K_H R y)_0 = \psi^T s_H`; stationary images
    make every other cell the same.

    Attributes
    ----------
    coarse, mixed, fine : ndarray, shape (n_K, n_K)
        :math:`E\psi\psi^T`, :math:`E\psi\varphi^T`, :math:`E\varphi\varphi^T`.
    keeps_constants : bool
        Whether constant images have infinite power, which the matrices leave out.

    Examples
    --------
    >>> from refmg.covariance import PowerLaw
    >>> white = second_moments(PowerLaw(0.0, constant=1.0), width=(3,), factor=(2,))
    >>> print(abs(white.mixed.round(12)))
    [[0.25 0.   0.  ]
     [0.25 0.5  0.25]
     [0.   0.   0.25]]
    """

    coarse: Moments
    mixed: Moments
    fine: Moments
    keeps_constants: bool


def second_moments(
    covariance: Covariance, width: Shape, factor: Shape, stride: Shape = (), transfer: Transfer = "linear"
) -> SecondMoments:
    r"""Return the exact second moments, from the spectrum by FFT.

    Parameters
    ----------
    covariance : Covariance
        Of the images, on the fine grid.
    width, factor : tuple of int
        Taps of the stencils and coarsening factor, one an axis.
    stride : tuple of int, optional
        Of the convolution, the same on both grids; 1 by default. R then acts on the outputs, which lie
        on every stride-th cell.
    transfer : str or callable
        Gives R; its P is not used.

    Returns
    -------
    SecondMoments

    Raises
    ------
    ClosureError
        If the coarse grid has fewer cells than the stencils have taps.
    RefmgError
        If the factor does not divide the grid of the covariance.

    Notes
    -----
    With :math:`\hat r(\theta) = \sum_a r_a e^{i\theta a}` and the stride t, the image
    :math:`e^{i\theta x}` gives :math:`\varphi_j = \hat r(t\theta) e^{i\theta j}` and
    :math:`\psi_J = \hat r(\theta) e^{i\theta f J}`; the moments are sums of their products over the
    frequencies, weighted by the power.
    """
    shape, strides = covariance.grid(factor), stride or (1,) * len(width)
    check_coarse_grid(coarse_shape(shape, factor), width)
    power = covariance.power(shape)
    infinite = bool(np.isinf(power.flat[0]))
    if infinite:
        power = power.copy()
        power.flat[0] = 0.0
    taps = [named_pair(transfer, f).restriction for f in factor]
    r = _outer([_symbol(R, n, 1) for R, n in zip(taps, shape, strict=True)])
    r_strided = _outer([_symbol(R, n, t) for R, n, t in zip(taps, shape, strides, strict=True)])
    fine, coarse = _offsets(width, (1,) * len(width)), _offsets(width, factor)
    return SecondMoments(
        _between(power * np.abs(r) ** 2, coarse, coarse),
        _between(power * np.conj(r) * r_strided, coarse, fine),
        _between(power * np.abs(r_strided) ** 2, fine, fine),
        infinite,
    )


def _symbol(R: Taps, n: int, stride: int) -> NDArray[np.complex128]:
    theta = 2 * np.pi * np.fft.fftfreq(n)
    return np.asarray(sum(float(w) * np.exp(1j * theta * stride * a) for a, w in R.items()))


def _outer(axes: list[NDArray[Any]]) -> NDArray[Any]:
    return reduce(np.multiply.outer, axes)


def _offsets(width: Shape, step: Shape) -> NDArray[np.intp]:
    """Return the offsets of all taps in fine cells, in C order, shape (n_K, d)."""
    axes = [[f * (t - k // 2) for t in range(k)] for k, f in zip(width, step, strict=True)]
    return np.array(list(product(*axes)), dtype=np.intp)


def _between(weights: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Moments:
    """Return the mean over frequencies of the weights times exp(i theta (column - row))."""
    correlation = np.fft.ifftn(weights).real
    difference = (columns[None] - rows[:, None]) % np.array(weights.shape)
    return np.asarray(correlation[tuple(np.moveaxis(difference, -1, 0))])
