"""Mistakes in moving features, stencils and weights between grids."""

import numpy as np

from wrong_adapters.base import OnReference


class RestrictionAsTranspose(OnReference):
    """``P`` as ``R^T``, ``R`` as ``P^T``: piecewise constant, no factor 2^d."""

    def prolong_features(self, features, transfer, factor, boundary):
        return np.repeat(np.repeat(features, factor, axis=1), factor, axis=2) / factor**2

    def restrict_features(self, features, transfer, factor, boundary):
        C, a, b, m = features.shape
        return features.reshape(C, a // factor, factor, b // factor, factor, m).sum(axis=(2, 4))

    def restrict_stencil(self, **inputs):
        return 4 * super().restrict_stencil(**inputs)


class AnotherPair(OnReference):
    def restrict_stencil(self, stencil, transfer, factor):
        return super().restrict_stencil(stencil, "average", factor)


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
