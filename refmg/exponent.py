"""The exponent of the power law that given images follow."""

from __future__ import annotations

from typing import Any

import numpy as np

from refmg.covariance import Spectrum, frequency_norm
from refmg_backends import RefmgError


def fit_exponent(images: Any, batch_size: int = 256, spacing: tuple[float, ...] = ()) -> float:
    r"""Return the exponent p of :math:`|f|^{-p}` nearest to the spectrum of images.

    Parameters
    ----------
    images : ndarray, shape (C, n_1, .., n_d, m), or an iterable of such, or a Spectrum
        On either grid: a power law looks the same at every resolution. No labels.
    batch_size : int
        Examples at a time.
    spacing : tuple of float, optional
        Widths of the cells, as in :class:`PowerLaw`.

    Returns
    -------
    float
        Least squares of log power over log frequency. Frequencies count by :math:`|f|^{-d}`, so that every
        octave counts alike; ``f = 0`` and frequencies without any power do not count.

    Raises
    ------
    RefmgError
        If fewer than two different frequencies have power.

    Examples
    --------
    >>> from refmg.covariance import PowerLaw
    >>> round(fit_exponent(Spectrum(PowerLaw(1.7, constant=1.0).power((16, 16)))), 12)
    1.7
    """
    spectrum = images if isinstance(images, Spectrum) else Spectrum.of(images, batch_size)
    power = spectrum.power(spectrum.shape).ravel()
    f = frequency_norm(spectrum.shape, spacing or (1.0,) * len(spectrum.shape)).ravel()
    # Below this, power is the rounding of the transform.
    used = (f > 0) & (power > power.max() * np.finfo(float).eps)
    if len(np.unique(f[used].round(12))) < 2:
        raise RefmgError("found power at fewer than two frequencies; expected images that vary")
    x, y, weights = np.log(f[used]), np.log(power[used]), f[used] ** -float(len(spectrum.shape))
    x_away = x - np.average(x, weights=weights)
    return float(-np.sum(weights * x_away * y) / np.sum(weights * x_away**2))
