"""Implementations with one mistake each, as people make them; written without the code that names them."""

import numpy as np
from scipy import ndimage
from scipy.special import log_softmax, softmax

from refmg_validation.adapters.backends import Adapter

MODES = {"periodic": "wrap", "zero": "constant", "reflect": "reflect"}


def filtered(features, stencil, mode, operation=ndimage.correlate):
    """Return the sum over input channels of SciPy's filter, on ``(C, n_1, .., n_d, m)``."""
    parts = [
        [
            [operation(features[i, ..., e], stencil[o, i], mode=mode) for i in range(stencil.shape[1])]
            for e in range(features.shape[-1])
        ]
        for o in range(stencil.shape[0])
    ]
    return np.stack([np.stack([sum(rows) for rows in of_o], axis=-1) for of_o in parts])


def step(stride, ndim):
    strides = np.broadcast_to(stride, (ndim,)).tolist()
    return (slice(None), *(slice(None, None, t) for t in strides), slice(None))


class OnReference(Adapter):
    """All that is not overridden is right."""

    def __init__(self):
        super().__init__("numpy")


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


class RestrictionAsTranspose(OnReference):
    """``P`` as ``R^T``, ``R`` as ``P^T``: piecewise constant, no factor 2^d."""

    def prolong_features(self, features, transfer, factor, boundary):
        return np.repeat(np.repeat(features, factor, axis=1), factor, axis=2) / factor**2

    def restrict_features(self, features, transfer, factor, boundary):
        C, a, b, m = features.shape
        return features.reshape(C, a // factor, factor, b // factor, factor, m).sum(axis=(2, 4))

    def restrict_stencil(self, **inputs):
        return 4 * super().restrict_stencil(**inputs)


class WithoutVolume(OnReference):
    """Logits ``W^T y + mu``."""

    power = 0

    def classifier_loss(self, loss, features, W, mu, labels):
        flat, weights = features.reshape(-1, features.shape[-1]), W.reshape(-1, W.shape[-1])
        c, m = (1 / np.prod(W.shape[1:-1])) ** self.power, len(labels)
        logits = c * weights.T @ flat + mu[:, None]
        value = -log_softmax(logits, axis=0)[labels, range(m)].mean()
        G = (softmax(logits, axis=0) - np.eye(len(mu))[:, labels]) / m
        gradients = (c * weights @ G).reshape(features.shape), (c * flat @ G.T).reshape(W.shape)
        return logits, value, *gradients, G.sum(axis=1)

    def control_gradient(self, W, **inputs):
        return super().control_gradient(W=12.0 * W, **inputs)


class WithoutVolumeAndSummed(WithoutVolume):
    """Two mistakes: logits show the one, all that follows shows both."""

    def classifier_loss(self, labels, **inputs):
        logits, *rest = super().classifier_loss(labels=labels, **inputs)
        return logits, *(len(labels) * part for part in rest)


class VolumeTwice(WithoutVolume):
    power = 2


class WithoutSpacing(OnReference):
    def weight_regularizer(self, W, alpha_W):
        cells = np.prod(W.shape[1:-1])
        differences = [np.diff(W, axis=axis) for axis in range(1, W.ndim - 1)]
        value = alpha_W / 2 / cells * sum(np.sum(d**2) for d in differences)
        return value, super().weight_regularizer(W=W, alpha_W=alpha_W)[1]


class RightEndPoints(OnReference):
    """Step k takes the parameters of node k + 1."""

    @staticmethod
    def later(values):
        return values[[*range(1, len(values)), len(values) - 1]]

    def propagate(self, stencils, biases, **rest):
        return super().propagate(stencils=self.later(stencils), biases=self.later(biases), **rest)

    def propagate_tangent(self, **inputs):
        moved = {k: self.later(v) if k.startswith(("stencils", "biases")) else v for k, v in inputs.items()}
        return super().propagate_tangent(**moved)


class CentredNodes(OnReference):
    """Nodes in the middle of their intervals."""

    def prolong_in_time(self, stencils, biases, nodes, interpolation):
        old, new = (np.arange(n) / n + 0.5 / n for n in (len(stencils), nodes))

        def moved(values):
            flat = values.reshape(len(values), -1)
            columns = [np.interp(new, old, column) for column in flat.T]
            return np.stack(columns, axis=-1).reshape(nodes, *values.shape[1:])

        return moved(stencils), moved(biases)


class UnitStep(OnReference):
    def propagate(self, **inputs):
        return super().propagate(**inputs | {"final_time": float(inputs["steps"])})


class Minus(OnReference):
    def apply_layer(self, **inputs):
        return -super().apply_layer(**inputs)

    def propagate_adjoint(self, **inputs):
        return tuple(-g for g in super().propagate_adjoint(**inputs))


class ExamplesFirst(OnReference):
    def convolve(self, **inputs):
        return np.moveaxis(super().convolve(**inputs), -1, 0)

    def classifier_loss(self, **inputs):
        logits, *rest = super().classifier_loss(**inputs)
        return logits.T, *rest


class ChannelsLast(OnReference):
    def convolve(self, **inputs):
        return np.moveaxis(super().convolve(**inputs), (-1, 0), (0, -1))


class Summed(OnReference):
    def classifier_loss(self, labels, **inputs):
        logits, *rest = super().classifier_loss(labels=labels, **inputs)
        return logits, *(len(labels) * part for part in rest)

    def control_gradient(self, **inputs):
        return tuple(part / inputs["images"].shape[-1] for part in super().control_gradient(**inputs))


class WithoutHalf(OnReference):
    def control_regularizer(self, **inputs):
        return tuple(2 * part for part in super().control_regularizer(**inputs))


class ColumnMajor(OnReference):
    def convolve(self, **inputs):
        found = super().convolve(**inputs)
        return found.ravel(order="F").reshape(found.shape)


class Flattened(OnReference):
    def convolve(self, **inputs):
        return super().convolve(**inputs).reshape(-1, 2)


class SinglePrecision(OnReference):
    def apply_layer(self, **inputs):
        single = {k: v.astype(np.float32) if isinstance(v, np.ndarray) else v for k, v in inputs.items()}
        return super().apply_layer(**single).astype(np.float64)


class NotFinite(OnReference):
    def convolve(self, **inputs):
        found = super().convolve(**inputs).astype(float)
        found[0, 0] = np.nan
        return found


class AnotherPair(OnReference):
    def restrict_stencil(self, stencil, transfer, factor):
        return super().restrict_stencil(stencil, "average", factor)


class RoundedLast(OnReference):
    """Right up to the last bits, as by an FFT."""

    def _off(self, found):
        return found * (1 + 2**-50)

    def convolve(self, **inputs):
        return self._off(super().convolve(**inputs))

    def restrict_features(self, **inputs):
        return self._off(super().restrict_features(**inputs))

    def prolong_in_time(self, **inputs):
        return tuple(map(self._off, super().prolong_in_time(**inputs)))


class RoughWeights(OnReference):
    """``|grad_h W|^2`` without ``h^d``."""

    def weight_regularizer(self, W, alpha_W):
        return super().weight_regularizer(W=W, alpha_W=alpha_W * np.prod(W.shape[1:-1]))


class Doubled(OnReference):
    """Twice what is asked for, where nothing is a square."""

    def convolve(self, **inputs):
        return 2 * super().convolve(**inputs)

    def propagate(self, **inputs):
        return super().propagate(**inputs) / 2


class Zeros(OnReference):
    """Nothing came back, as from a derivative that autograd was not asked for."""

    def classifier_hessian_product(self, **inputs):
        return tuple(0 * part for part in super().classifier_hessian_product(**inputs))


class LaterMoments(OnReference):
    """Parameters at the end of each step, with fewer controls than steps."""

    late = 1.0

    def propagate(self, stencils, biases, **rest):
        steps, M = rest["steps"], len(stencils)

        def at(values, t):
            place = min(t * M, M - 1)
            j = min(int(place), max(M - 2, 0))
            return (1 - (place - j)) * values[j] + (place - j) * values[min(j + 1, M - 1)]

        times = [(k + self.late) / steps for k in range(steps)]
        moved = (np.stack([at(values, t) for t in times]) for values in (stencils, biases))
        return super().propagate(stencils=next(moved), biases=next(moved), **rest)


class MiddleMoments(LaterMoments):
    late = 0.5


class Unmoved(OnReference):
    """Stencils as they are, on every grid."""

    def prolong_stencil(self, stencil, transfer, factor):
        return stencil

    def switch_level(self, **inputs):
        found = super().switch_level(**inputs)
        stencils = self.prolong_in_time(inputs["stencils"], inputs["biases"], inputs["nodes"], "linear")[0]
        return inputs["opening"], stencils, *found[2:]


class OtherWay(OnReference):
    """Restricted where prolonged is meant."""

    def prolong_stencil(self, **inputs):
        return super().restrict_stencil(**inputs)

    def power_law_restrict(self, **inputs):
        return super().power_law_prolong(**inputs)

    def switch_level(self, **inputs):
        found = super().switch_level(**inputs)

        def down(s):
            return self.restrict_stencil(s, inputs["transfer"], 2)

        moved = np.stack([down(s) for s in inputs["stencils"]])
        stencils = self.prolong_in_time(moved, inputs["biases"], inputs["nodes"], "linear")[0]
        return down(inputs["opening"]), stencils, *found[2:]


class DividedWeights(OnReference):
    def switch_level(self, **inputs):
        opening, stencils, biases, W, mu = super().switch_level(**inputs)
        return opening, stencils, biases, W / 4, mu


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


class OtherInterpolation(OnReference):
    def prolong_in_time(self, interpolation, **inputs):
        return super().prolong_in_time(interpolation="constant", **inputs)


class OtherIntegrator(OnReference):
    def propagate(self, integrator, **inputs):
        return super().propagate(integrator="euler", **inputs)


class OtherActivation(OnReference):
    def apply_layer(self, activation, **inputs):
        return super().apply_layer(activation="relu", **inputs)


class OtherLayer(OnReference):
    def apply_layer(self, layer, **inputs):
        return super().apply_layer(layer="residual", **inputs)


class OtherLoss(OnReference):
    def classifier_loss(self, loss, **inputs):
        return super().classifier_loss(loss="logistic", **inputs)


class OtherLayout(OnReference):
    """Grid first, then examples, then channels."""

    def convolve(self, **inputs):
        return np.moveaxis(super().convolve(**inputs), (0, -1), (-1, -2))


class Noise(OnReference):
    """No usual mistake."""

    def convolve(self, **inputs):
        found = super().convolve(**inputs)
        return found + np.random.default_rng(0).normal(size=found.shape)
