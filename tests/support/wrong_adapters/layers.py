"""Mistakes in layers and losses."""

import numpy as np

from wrong_adapters.base import OnReference, filtered


class WithoutBias(OnReference):
    def apply_layer(self, bias, **inputs):
        return super().apply_layer(bias=0 * bias, **inputs)

    def propagate(self, biases, **inputs):
        return super().propagate(biases=0 * biases, **inputs)

    def layer_tangent(self, bias_direction, **inputs):
        return super().layer_tangent(bias_direction=0 * bias_direction, **inputs)

    def classifier_loss(self, mu, **inputs):
        return super().classifier_loss(mu=0 * mu, **inputs)


class HalvesSwapped(OnReference):
    """The second half of the channels is taken for y."""

    def apply_layer(self, features, **inputs):
        half = len(features) // 2
        return np.roll(super().apply_layer(features=np.roll(features, half, 0), **inputs), half, 0)

    def propagate(self, stencils, biases, **inputs):
        half = stencils.shape[1] // 2
        return super().propagate(
            stencils=np.roll(stencils, half, 1), biases=np.roll(biases, half, 1), **inputs
        )


class MirroredLayers(OnReference):
    """Layers on a grid that goes on by NumPy's "reflect"; right for the others."""

    def apply_layer(self, layer, activation, boundary, features, stencil, bias):
        if (layer, boundary) != ("residual", "reflect"):
            return super().apply_layer(layer, activation, boundary, features, stencil, bias)
        z = filtered(features, stencil, "mirror") + bias.reshape(-1, *(1,) * (features.ndim - 1))
        return {"tanh": np.tanh, "identity": lambda x: x}[activation](z)


class OtherActivation(OnReference):
    def apply_layer(self, activation, **inputs):
        return super().apply_layer(activation="relu", **inputs)


class OtherLayer(OnReference):
    def apply_layer(self, layer, **inputs):
        return super().apply_layer(layer="residual", **inputs)


class OtherLoss(OnReference):
    def classifier_loss(self, loss, **inputs):
        return super().classifier_loss(loss="logistic", **inputs)
