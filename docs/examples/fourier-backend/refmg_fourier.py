"""A backend of a third party: periodic convolutions by the fast Fourier transform."""

import numpy as np
from array_api_compat import numpy as xp

from refmg_backends import ArrayBackend


class FourierConvolution:
    """A periodic convolution with stride 1, diagonal in Fourier space."""

    def __init__(self, stencil, geometry):
        self.geometry, self.axes = geometry, tuple(range(1, 1 + len(geometry.shape)))
        spread = np.zeros((*stencil.shape[:2], *geometry.shape), stencil.dtype)
        for tap in np.ndindex(geometry.width):
            cell = tuple(
                (j - k // 2) % n for j, k, n in zip(tap, geometry.width, geometry.shape, strict=True)
            )
            spread[(..., *cell)] += stencil[(..., *tap)]  # on a tiny grid several taps meet in one cell
        # Cross-correlation: the conjugate of the transform of the taps.
        self.symbol = np.conj(np.fft.fftn(spread, axes=tuple(axis + 1 for axis in self.axes)))

    def _multiply(self, equation, symbol, X):
        grid = X.reshape(X.shape[0], *self.geometry.shape, X.shape[-1])
        product = np.einsum(equation, symbol, np.fft.fftn(grid, axes=self.axes))
        real = np.fft.ifftn(product, axes=self.axes).real.astype(X.dtype)
        return real.reshape(real.shape[0], -1, X.shape[-1])

    def apply(self, Y, add_to=None):
        """Return ``add_to + K Y``."""
        product = self._multiply("oc...,c...m->o...m", self.symbol, Y)
        return product if add_to is None else add_to + product

    def apply_transpose(self, Z, add_to=None):
        """Return ``add_to + K^T Z``."""
        product = self._multiply("oc...,o...m->c...m", np.conj(self.symbol), Z)
        return product if add_to is None else add_to + product


class FourierBackend(ArrayBackend):
    """Fourier transforms where they apply; everything else as the reference does it."""

    def __init__(self):
        super().__init__("fourier", xp)

    def convolution(self, stencil, geometry):
        """Prepare a stencil for application."""
        diagonal = geometry.boundary == "periodic" and set(geometry.stride) == {1}
        if not diagonal or stencil.dtype.kind != "f":
            return super().convolution(stencil, geometry)
        return FourierConvolution(stencil, geometry)
