r"""Calibration without data: on random images that have edges and a power-law spectrum."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from refmg.calibration.settings import Calibration
from refmg.covariance import PowerLaw
from refmg.data.pyramid import restrict_images
from refmg.transfer import Shape
from refmg_backends import RefmgError


@dataclass(frozen=True)
class SyntheticImages:
    """The transfer ``"synthetic"``: calibrated on images that nobody took.

    Parameters
    ----------
    count : int
        How many images.
    exponent : float
        p of the power spectrum ``|f|^-p`` of the Gaussian field behind each image.
    threshold, gain : float
        Of the field's standard deviation: a cell is ``gain * (field - threshold)``, cut to [0, 1].
    sigma : float
        Standard deviation of the Gaussian by which coarse images are smoothed before they are
        restricted, in fine pixels. It belongs to the data: give what makes *your* coarse images (0: plain
        averages of blocks).
    seed : int
        Of the fields.
    calibration : Calibration
        Prior map, ridges, batches.

    Raises
    ------
    RefmgError
        If a number is out of range.

    Notes
    -----
    A Gaussian field with the spectrum of natural images has no edges, and networks react to edges: so the
    field is thresholded, which leaves bright shapes with sharp but resolved borders on a dark ground. The
    values are in [0, 1]; a network trained on others needs images of its own range. Channels are
    independent.

    Examples
    --------
    >>> images = SyntheticImages(count=200)
    >>> x = images.draw(1, (16, 16))
    >>> x.shape, float(x.min()), float(x.max()), bool(0.2 < x.mean() < 0.4)
    ((1, 16, 16, 200), 0.0, 1.0, True)
    """

    count: int = 2000
    exponent: float = 3.0
    threshold: float = 0.5
    gain: float = 2.0
    sigma: float = 0.0
    seed: int = 0
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        """Refuse what gives no images."""
        if self.count < 1 or not 0 < self.gain < float("inf") or not 0 <= self.sigma < float("inf"):
            raise RefmgError(
                f"found count = {self.count}, gain = {self.gain} and sigma = {self.sigma}; expected a "
                "positive count and gain, and sigma of at least 0"
            )
        if not abs(self.threshold) < 3:
            raise RefmgError(
                f"found threshold = {self.threshold} standard deviations; expected less than 3: beyond, "
                "hardly an image has anything in it"
            )
        PowerLaw(self.exponent)

    def draw(self, channels: int, shape: Shape) -> NDArray[np.float64]:
        """Return images of this size.

        Parameters
        ----------
        channels : int
            Of each image.
        shape : tuple of int
            Cells of the grid.

        Returns
        -------
        ndarray, shape (channels, n_1, .., n_d, count)
            Periodic.
        """
        power = PowerLaw(self.exponent, constant=1.0).power(shape)
        noise = np.random.default_rng(self.seed).standard_normal((channels, *shape, self.count))
        axes = tuple(range(1, 1 + len(shape)))
        spectrum = np.fft.fftn(noise, axes=axes) * np.sqrt(power)[None, ..., None]
        fields = np.fft.ifftn(spectrum, axes=axes).real / np.sqrt(power.mean())
        return np.clip(self.gain * (fields - self.threshold), 0.0, 1.0)

    def restricted(self, fine: NDArray[np.float64], factor: Shape, boundary: str) -> NDArray[np.float64]:
        """Return the same images on the coarse grid, smoothed by `sigma` before."""
        coarse = restrict_images(fine, self.sigma, factor=factor, boundary=boundary)
        return coarse.astype(np.float64, copy=False)
