"""Convolutions, transfers and maps of stencils by refmg."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg import (
    Convolution,
    PowerLaw,
    Spectrum,
    coarse_operator,
    coarse_shape,
    named_map,
    prolongation_matrix,
    restriction_matrix,
)
from refmg.calibration import StencilFit, tap_operators
from refmg_validation.adapters.backends.arrays import OnBackend, Shape, grid_of, per_axis

Arrays = NDArray[Any]


class GridFunctions(OnBackend):
    """What acts on grids: the backend's kernels, the explicit R and P, and the small maps."""

    def convolve(self, features: Arrays, stencil: Arrays, boundary: str, stride: Any) -> Arrays:
        """Return ``K(s) y``."""
        K = self._convolution(stencil, grid_of(features), boundary, stride)
        return self.down(K.apply(self.up(features)))

    def convolve_transpose(
        self, features: Arrays, stencil: Arrays, shape: Any, boundary: str, stride: Any
    ) -> Arrays:
        """Return ``K(s)^T z``."""
        K = self._convolution(stencil, tuple(int(n) for n in shape), boundary, stride)
        return self.down(K.apply_transpose(self.up(features)))

    def stencil_gradient(
        self, features: Arrays, cotangent: Arrays, width: Any, boundary: str, stride: Any
    ) -> Arrays:
        """Return the gradient of ``<K(s) y, z>`` in the stencil."""
        cells = grid_of(features)
        channels = (cotangent.shape[0], features.shape[0])
        stencil = np.zeros((*channels, *per_axis(width, len(cells))), features.dtype)
        K = self._convolution(stencil, cells, boundary, stride)
        return self.down(K.stencil_gradient(self.up(features), self.up(cotangent)))

    def _convolution(self, stencil: Arrays, cells: Shape, boundary: str, stride: Any) -> Convolution:
        steps = per_axis(stride, len(cells))
        return Convolution(self.up(stencil), cells, boundary, steps, self.place)

    def restrict_features(self, features: Arrays, transfer: str, factor: Any, boundary: str) -> Arrays:
        """Return ``R y``."""
        fine = grid_of(features)
        factors = per_axis(factor, len(fine))
        R = restriction_matrix(fine, transfer, factors, boundary)
        return _on_channels(R, features, coarse_shape(fine, factors))

    def prolong_features(self, features: Arrays, transfer: str, factor: Any, boundary: str) -> Arrays:
        """Return ``P y``."""
        coarse = grid_of(features)
        factors = per_axis(factor, len(coarse))
        fine = tuple(f * n for f, n in zip(factors, coarse, strict=True))
        return _on_channels(prolongation_matrix(fine, transfer, factors, boundary), features, fine)

    def coarse_operator(
        self, stencil: Arrays, shape: Any, transfer: str, factor: Any, boundary: str
    ) -> Arrays:
        """Return ``R K(s) P`` as a dense matrix."""
        cells = tuple(int(n) for n in shape)
        return coarse_operator(stencil, cells, transfer, per_axis(factor, len(cells)), boundary).toarray()

    def restrict_stencil(self, stencil: Arrays, transfer: str, factor: Any) -> Arrays:
        """Return the stencil on the coarse grid."""
        return _map(stencil, transfer, factor).restrict(stencil)

    def prolong_stencil(self, stencil: Arrays, transfer: str, factor: Any) -> Arrays:
        """Return the stencil on the fine grid."""
        return _map(stencil, transfer, factor).prolong(stencil)

    def power_law_restrict(self, stencil: Arrays, exponent: float, factor: Any) -> Arrays:
        """Return the stencil that predicts best over power-law images."""
        return _map(stencil, PowerLaw(exponent), factor).restrict(stencil)

    def power_law_prolong(self, stencil: Arrays, exponent: float, factor: Any) -> Arrays:
        """Return the same from coarse to fine."""
        return _map(stencil, PowerLaw(exponent), factor).prolong(stencil)

    def spectrum_restrict(self, stencil: Arrays, images: Arrays, factor: Any) -> Arrays:
        """Return the stencil that predicts best over given images."""
        return _map(stencil, Spectrum.of(images), factor).restrict(stencil)

    def spectrum_prolong(self, stencil: Arrays, images: Arrays, factor: Any) -> Arrays:
        """Return the same from coarse to fine."""
        return _map(stencil, Spectrum.of(images), factor).prolong(stencil)

    def calibrated_stencil(
        self, stencil: Arrays, fine_features: Arrays, coarse_features: Arrays, ridge: float, boundary: str
    ) -> Arrays:
        """Return the stencil fitted to the fine one's restricted responses."""
        fine, coarse = grid_of(fine_features), grid_of(coarse_features)
        factor = tuple(f // c for f, c in zip(fine, coarse, strict=True))
        response = Convolution(stencil, fine, boundary, backend="numpy").apply(fine_features)
        goal = _on_channels(restriction_matrix(fine, "linear", factor, boundary), response, coarse)
        c_out, c_in, *width = stencil.shape
        fit = StencilFit(tap_operators(tuple(width), coarse, boundary), c_in, c_out)
        fit.add(_flat(coarse_features), _flat(goal))
        return fit.solve(stencil.astype(np.float64), ridge)


def _map(stencil: Arrays, transfer: Any, factor: Any) -> Any:
    width = stencil.shape[2:]
    return named_map(transfer, width, len(width), per_axis(factor, len(width)))


def _flat(Y: Arrays) -> Arrays:
    return Y.reshape(Y.shape[0], prod(grid_of(Y)), Y.shape[-1])


def _on_channels(A: Any, Y: Arrays, shape: Shape) -> Arrays:
    """Return `A`, which acts on one channel, applied to all channels and examples, in their precision."""
    A = A.astype(Y.dtype) if Y.dtype.kind == "f" else A
    return np.stack([(A @ y).reshape(*shape, -1) for y in _flat(Y)])
