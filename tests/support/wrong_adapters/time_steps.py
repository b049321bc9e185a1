"""Mistakes in steps, nodes and interpolation in time."""

import numpy as np

from wrong_adapters.base import OnReference


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


class OtherInterpolation(OnReference):
    def prolong_in_time(self, interpolation, **inputs):
        return super().prolong_in_time(interpolation="constant", **inputs)


class OtherIntegrator(OnReference):
    def propagate(self, integrator, **inputs):
        return super().propagate(integrator="euler", **inputs)
