"""Symbols of periodic convolutions: all eigenvalues without a large matrix."""

from __future__ import annotations

from itertools import product

import numpy as np
import scipy
from numpy.typing import NDArray

from refmg.convolution import Convolution
from refmg_backends import RefmgError

Spectrum = NDArray[np.complex128]


def symbol(K: Convolution) -> Spectrum:
    r"""Return the symbol :math:`\hat K(\omega) = \sum_j S_j e^{i \omega \cdot j}` at every frequency.

    Parameters
    ----------
    K : Convolution
        With periodic boundary and stride 1: there its matrix is block diagonal in the Fourier basis.

    Returns
    -------
    ndarray of complex128, shape (N, C_out, C_in)

    Raises
    ------
    RefmgError
        If the boundary is not periodic or the stride not 1.

    Examples
    --------
    >>> second_difference = Convolution([1.0, -2.0, 1.0], (4,), backend="numpy")
    >>> symbol(second_difference).real.ravel()
    array([ 0., -2., -4., -2.])
    """
    g = K.geometry
    if g.boundary != "periodic" or set(g.stride) != {1}:
        raise RefmgError(
            f"found a convolution with boundary {g.boundary!r} and stride {g.stride}; expected a periodic "
            "one with stride 1: others have no symbol, take the eigenvalues of the explicit matrix"
        )
    axes = [2j * np.pi * np.arange(n) / n for n in g.shape]
    frequencies = np.stack([w.ravel() for w in np.meshgrid(*axes, indexing="ij")], axis=-1)
    offsets = np.array([[t - k // 2 for t, k in zip(tap, g.width, strict=True)] for tap in _taps(g.width)])
    s = K.backend.to_numpy(K.stencil).reshape(K.c_out, K.c_in, -1)
    return np.einsum("oij,wj->woi", s, np.exp(frequencies @ offsets.T))


def _taps(width: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(product(*(range(k) for k in width)))


def spectrum(K: Convolution) -> Spectrum:
    """Return all eigenvalues of a convolution from C to C channels, by its symbol.

    Returns
    -------
    ndarray of complex128, shape (N * C,)
    """
    return np.linalg.eigvals(symbol(K)).ravel().astype(complex)


def largest_eigenvalue(K: Convolution) -> complex:
    """Return the eigenvalue of largest modulus of the explicit matrix: the check of the symbol.

    By ARPACK, for any boundary; small matrices by a dense solver, which ARPACK cannot take.
    """
    matrix = K.matrix().astype(float)
    if matrix.shape[0] < 16:
        found = np.linalg.eigvals(matrix.toarray())
    else:
        start = np.random.default_rng(0).normal(size=matrix.shape[0])
        found = scipy.sparse.linalg.eigs(matrix, k=1, which="LM", v0=start, return_eigenvectors=False)
    return complex(found[np.argmax(np.abs(found))])
