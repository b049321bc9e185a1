"""Mistakes in a convolution, its transpose and its boundary."""

import numpy as np
from scipy import ndimage

from wrong_adapters.base import MODES, OnReference, filtered, step


class Flipped(OnReference):
    """SciPy's ``convolve`` flips the stencil."""

    def convolve(self, features, stencil, boundary, stride):
        found = filtered(features, stencil, MODES[boundary], ndimage.convolve)
        return found[step(stride, features.ndim - 2)]

    def propagate(self, opening, stencils, **rest):
        return super().propagate(opening=np.flip(opening, (2, 3)), stencils=np.flip(stencils, (3, 4)), **rest)

    def propagate_adjoint(self, opening, stencils, **rest):
        grads = super().propagate_adjoint(
            opening=np.flip(opening, (2, 3)), stencils=np.flip(stencils, (3, 4)), **rest
        )
        return np.flip(grads[0], (2, 3)), np.flip(grads[1], (3, 4)), grads[2]


class ChannelsTransposed(OnReference):
    def convolve(self, features, stencil, boundary, stride):
        return filtered(features, stencil.swapaxes(0, 1), MODES[boundary])

    def stencil_gradient(self, **inputs):
        return super().stencil_gradient(**inputs).swapaxes(0, 1)


class AlwaysPeriodic(OnReference):
    def convolve(self, features, stencil, boundary, stride):
        return filtered(features, stencil, "wrap")[step(stride, features.ndim - 2)]

    def layer_adjoint(self, boundary, **inputs):
        return super().layer_adjoint(boundary="zero", **inputs)


class TorchReflect(OnReference):
    """SciPy's "mirror" is what PyTorch and NumPy call "reflect"."""

    def convolve(self, features, stencil, boundary, stride):
        mode = "mirror" if boundary == "reflect" else MODES[boundary]
        return filtered(features, stencil, mode)[step(stride, features.ndim - 2)]


class StrideFromOne(OnReference):
    def convolve(self, features, stencil, boundary, stride):
        return super().convolve(features, stencil, boundary, 1)[:, 1::stride, 1::stride]


class AxesSwapped(OnReference):
    def convolve(self, features, stencil, boundary, stride):
        return filtered(features, stencil.swapaxes(2, 3), MODES[boundary])

    def restrict_features(self, **inputs):
        return super().restrict_features(**inputs).swapaxes(1, 2)


class ForwardAsTranspose(OnReference):
    def convolve_transpose(self, features, stencil, shape, boundary, stride):
        return filtered(features, stencil, MODES[boundary])

    def layer_adjoint(self, cotangent, **inputs):
        zero = {"stencil_direction": 0 * inputs["stencil"], "bias_direction": 0 * inputs["bias"]}
        grads = super().layer_adjoint(cotangent=cotangent, **inputs)
        return self.layer_tangent(features_direction=cotangent, **zero, **inputs), *grads[1:]


class FlippedAsTranspose(OnReference):
    """Right for periodic grids, wrong at a reflecting edge."""

    def convolve_transpose(self, features, stencil, shape, boundary, stride):
        return filtered(features, np.flip(stencil, (2, 3)).swapaxes(0, 1), MODES[boundary])
