"""Factors and signs that are missing or too many."""

import numpy as np
from scipy.special import log_softmax, softmax

from wrong_adapters.base import OnReference


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


class Summed(OnReference):
    def classifier_loss(self, labels, **inputs):
        logits, *rest = super().classifier_loss(labels=labels, **inputs)
        return logits, *(len(labels) * part for part in rest)

    def control_gradient(self, **inputs):
        return tuple(part / inputs["images"].shape[-1] for part in super().control_gradient(**inputs))


class WithoutHalf(OnReference):
    def control_regularizer(self, **inputs):
        return tuple(2 * part for part in super().control_regularizer(**inputs))


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


class Minus(OnReference):
    def apply_layer(self, **inputs):
        return -super().apply_layer(**inputs)

    def propagate_adjoint(self, **inputs):
        return tuple(-g for g in super().propagate_adjoint(**inputs))
