"""What images look like to second order: their mean power at every frequency of a periodic grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from refmg.distributed.shared_examples import share_of
from refmg.transfer import Shape
from refmg_backends import RefmgError, get_backend

Power = NDArray[np.float64]
COARSE_CELLS = 32  # of the grid on which a covariance without a grid of its own is sampled


@runtime_checkable
class Covariance(Protocol):
    """A stationary covariance C of images on a periodic grid: circulant, so given by its eigenvalues."""

    def grid(self, factor: Shape) -> Shape:
        """Return the fine grid to work on, a multiple of `factor` on every axis."""

    def power(self, shape: Shape) -> Power:
        """Return the eigenvalues of C at the frequencies of ``numpy.fft.fftn``, shape `shape`.

        Infinite at frequency 0 where constant images must come out exactly right.
        """


@dataclass(frozen=True)
class PowerLaw:
    r"""Images with the power spectrum :math:`|f|^{-p}`, as natural images have with p near 2.

    Parameters
    ----------
    exponent : float
        ``p``; 0 is white noise, larger is smoother.
    constant : float
        Power at ``f = 0``, in units of that of the lowest other frequency. The cell of frequencies
        around 0 holds infinite power for ``p >= d``: images without a largest scale. So infinite is the
        default, and makes every map keep the sum of the taps exactly.
    spacing : tuple of float, optional
        Widths of the fine cells, by which frequencies on different axes are compared; equal by
        default. Only ratios matter. Time and space have no common unit: for video say it.

    Raises
    ------
    RefmgError
        If the exponent is negative or not finite, or the constant or a spacing is not positive.

    Notes
    -----
    Sampled at the frequencies of the grid, nothing folded in from beyond. D. J. Field, "Relations
    between the statistics of natural images and the response properties of cortical cells" (1987).

    Examples
    --------
    >>> PowerLaw(2.0).power((4,))
    array([inf, 16.,  4., 16.])
    >>> PowerLaw(2.0, constant=1.0, spacing=(1.0, 0.5)).power((2, 2))
    array([[4. , 1. ],
           [4. , 0.8]])
    """

    exponent: float = 2.0
    constant: float = float("inf")
    spacing: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is not a power spectrum."""
        if not 0 <= self.exponent < float("inf"):
            raise RefmgError(f"found exponent {self.exponent}; expected a finite number of at least 0")
        if not self.constant > 0 or not all(0 < h < float("inf") for h in self.spacing):
            raise RefmgError(
                f"found constant {self.constant} and spacing {self.spacing}; expected positive numbers"
            )

    def grid(self, factor: Shape) -> Shape:
        """Return a grid with 32 coarse cells an axis."""
        return tuple(COARSE_CELLS * f for f in factor)

    def power(self, shape: Shape) -> Power:
        """Return the power at every frequency of the grid."""
        spacing = self.spacing or (1.0,) * len(shape)
        if len(spacing) != len(shape):
            raise RefmgError(f"found spacing {spacing}; expected one per axis of a grid of {shape} cells")
        f = frequency_norm(shape, spacing)
        f.flat[0] = np.inf
        power = f**-self.exponent
        power.flat[0] = self.constant * f.min() ** -self.exponent
        return power


def frequency_norm(shape: Shape, spacing: tuple[float, ...]) -> NDArray[np.float64]:
    """Return ``|f|`` in cycles per unit of length at the frequencies of ``numpy.fft.fftn``.

    Examples
    --------
    >>> frequency_norm((4,), (1.0,))
    array([0.  , 0.25, 0.5 , 0.25])
    """
    axes = [np.fft.fftfreq(n, h) ** 2 for n, h in zip(shape, spacing, strict=True)]
    return np.asarray(np.sqrt(sum(np.meshgrid(*axes, indexing="ij"))))


class Spectrum:
    """The mean power of given images at every frequency, on their own grid.

    Parameters
    ----------
    power : array_like, shape (n_1, .., n_d)
        At the frequencies of ``numpy.fft.fftn``: non-negative and even.

    Raises
    ------
    RefmgError
        If a value is negative or not finite, or all are 0.

    Notes
    -----
    The mean image is not removed: a network sees the images with it, and the least squares should
    weigh a constant by how much of it there is. Images that are not periodic have a jump at the
    boundary, whose power counts as well.

    Examples
    --------
    >>> Spectrum.of(np.array([1.0, 0.0, -1.0, 0.0]).reshape(1, 4, 1)).power((4,))
    array([0., 1., 0., 1.])
    """

    def __init__(self, power: Any) -> None:
        self._power = np.asarray(power, dtype=np.float64)
        self.shape: Shape = self._power.shape
        if not np.isfinite(self._power).all() or (self._power < 0).any() or not self._power.any():
            raise RefmgError(
                "found a power spectrum with values that are negative or not finite, or all 0; expected the "
                "mean square of images that are not all 0"
            )

    @classmethod
    def of(cls, images: Any, batch_size: int = 256) -> Spectrum:
        """Return the spectrum of images, read in batches.

        Parameters
        ----------
        images : ndarray or SharedExamples, shape (C, n_1, .., n_d, m), or an iterable of such
            Examples last; channels share one spectrum.
        batch_size : int
            Examples at a time; changes memory, and the result by rounding only.

        Returns
        -------
        Spectrum

        Raises
        ------
        RefmgError
            If there are no images, their grids differ or a value is not finite.
        """
        if share_of(images) is not None:
            return cls(_shared_power(images, batch_size))
        total, count = None, 0
        for x in _parts(images, batch_size):
            power = _power(x)
            if total is not None and power.shape != total.shape:
                raise RefmgError(
                    f"found images of {power.shape} cells after {total.shape}; expected one grid"
                )
            total = power if total is None else total + power
            count += x.shape[0] * x.shape[-1]
        if total is None or not count:
            raise RefmgError("found no images; expected at least one: (channels, grid, examples)")
        return cls(total / (count * total.size))

    def grid(self, factor: Shape) -> Shape:
        """Return the grid of the images.

        Raises
        ------
        RefmgError
            If the factor does not divide it.
        """
        if len(factor) != len(self.shape) or any(n % f for n, f in zip(self.shape, factor, strict=True)):
            raise RefmgError(
                f"found images on a grid of {self.shape} cells for the factor {factor}; expected images on "
                "the finer grid, with cells that are multiples of the factor"
            )
        return self.shape

    def power(self, shape: Shape) -> Power:
        """Return the power, for the grid of the images only."""
        if tuple(shape) != self.shape:
            raise RefmgError(f"found a grid of {shape} cells; expected that of the images, {self.shape}")
        return self._power


def _power(x: NDArray[Any]) -> Power:
    """Return the sum of the power of images, over channels and examples."""
    axes = tuple(range(1, x.ndim - 1))
    return np.asarray((np.abs(np.fft.fftn(x.astype(np.float64), axes=axes)) ** 2).sum(axis=(0, -1)))


def _shared_power(images: Any, batch_size: int) -> Power:
    """Return the mean power of images of which every rank has some."""
    share, (channels, *cells, m) = images.share, images.shape
    division = share.division(m, batch_size)
    part, size = share.part(division), share.batch(division, batch_size)
    parts = (images.read(slice(i, min(i + size, part.stop))) for i in range(part.start, part.stop, size))
    (total,) = share.total(get_backend("numpy"), ((_power(np.asarray(x)),) for x in parts), division)
    return np.asarray(total / (channels * m * np.prod(cells)))


def _parts(images: Any, batch_size: int) -> Iterable[NDArray[Any]]:
    """Yield arrays ``(C, n_1, .., n_d, m)``."""
    whole = [images] if hasattr(images, "shape") else images
    for x in whole:
        if np.ndim(x) < 3:
            raise RefmgError(f"found images of shape {np.shape(x)}; expected (channels, grid, examples)")
        for start in range(0, x.shape[-1], batch_size):
            yield np.asarray(x[..., start : start + batch_size])
