"""Coarse images: a Gaussian, then the restriction R (paper, section 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refmg.transfer import Shape, Transfer
from refmg.transfer_matrix import restriction_matrix
from refmg_backends import RefmgError

MODES = {"periodic": "wrap", "zero": "constant", "reflect": "reflect"}


def restrict_images(
    x: NDArray[np.floating],
    sigma: float = 1.0,
    transfer: Transfer = "linear",
    factor: int | Shape = 2,
    boundary: str = "periodic",
) -> NDArray[np.floating]:
    """Return the images on the coarse grid.

    Parameters
    ----------
    x : ndarray, shape (C, n_1, .., n_d, m)
        Fine images.
    sigma : float
        Standard deviation of the Gaussian, in fine pixels; 0 for none.
    transfer, factor, boundary
        As in :func:`refmg.restriction_matrix`.

    Returns
    -------
    ndarray, shape (C, n_1 / f, .., n_d / f, m)
        Of the type of `x`.

    Raises
    ------
    RefmgError
        If the factor does not divide the grid or sigma is negative.

    Examples
    --------
    >>> restrict_images(np.arange(4.0).reshape(1, 4, 1), sigma=0).ravel()
    array([0.5, 2.5])
    """
    if not 0 <= sigma < float("inf"):
        raise RefmgError(f"found sigma = {sigma}; expected a finite width of at least 0 fine pixels")
    shape = x.shape[1:-1]
    R = restriction_matrix(shape, transfer, factor, boundary).astype(x.dtype)
    smooth = x
    if sigma > 0:
        from scipy import ndimage  # here, because it would be a fifth of the time of `import refmg`

        widths = (0.0, *(sigma,) * len(shape), 0.0)
        smooth = ndimage.gaussian_filter(x, widths, mode=MODES[boundary])  # type: ignore[arg-type]
    coarse = [R @ channel.reshape(-1, x.shape[-1]) for channel in smooth]
    factors = (factor,) * len(shape) if isinstance(factor, int) else factor
    grid = tuple(n // f for n, f in zip(shape, factors, strict=True))
    return np.stack(coarse).reshape(x.shape[0], *grid, x.shape[-1])
