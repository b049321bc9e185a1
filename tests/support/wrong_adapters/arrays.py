"""Right numbers in the wrong places, of the wrong precision, or none at all."""

import numpy as np

from wrong_adapters.base import OnReference


class ExamplesFirst(OnReference):
    def convolve(self, **inputs):
        return np.moveaxis(super().convolve(**inputs), -1, 0)

    def classifier_loss(self, **inputs):
        logits, *rest = super().classifier_loss(**inputs)
        return logits.T, *rest


class ChannelsLast(OnReference):
    def convolve(self, **inputs):
        return np.moveaxis(super().convolve(**inputs), (-1, 0), (0, -1))


class ColumnMajor(OnReference):
    def convolve(self, **inputs):
        found = super().convolve(**inputs)
        return found.ravel(order="F").reshape(found.shape)


class Flattened(OnReference):
    def convolve(self, **inputs):
        return super().convolve(**inputs).reshape(-1, 2)


class OtherLayout(OnReference):
    """Grid first, then examples, then channels."""

    def convolve(self, **inputs):
        return np.moveaxis(super().convolve(**inputs), (0, -1), (-1, -2))


class SinglePrecision(OnReference):
    def apply_layer(self, **inputs):
        single = {k: v.astype(np.float32) if isinstance(v, np.ndarray) else v for k, v in inputs.items()}
        return super().apply_layer(**single).astype(np.float64)


class NotFinite(OnReference):
    def convolve(self, **inputs):
        found = super().convolve(**inputs).astype(float)
        found[0, 0] = np.nan
        return found


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


class Zeros(OnReference):
    """Nothing came back, as from a derivative that autograd was not asked for."""

    def classifier_hessian_product(self, **inputs):
        return tuple(0 * part for part in super().classifier_hessian_product(**inputs))


class Noise(OnReference):
    """No usual mistake."""

    def convolve(self, **inputs):
        found = super().convolve(**inputs)
        return found + np.random.default_rng(0).normal(size=found.shape)
