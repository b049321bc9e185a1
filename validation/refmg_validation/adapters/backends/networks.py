"""Layers, propagation and levels by refmg."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg import Architecture, Classifier, Controls, Convolution, Network, named_activation, transfer_network
from refmg.dynamics import Layer, make_layer
from refmg.multilevel import change_depth, prolong_in_time
from refmg.propagation import Propagation
from refmg.trajectory import Trajectory, linearized
from refmg_validation.adapters.backends.arrays import OnBackend, Shape, grid_of

Arrays = NDArray[Any]
CONTROLS = ("opening", "stencils", "biases")


class NetworkFunctions(OnBackend):
    """Layers, their derivatives, and networks of them."""

    def apply_layer(self, features: Arrays, **parameters: Any) -> Arrays:
        """Return ``F(y)``."""
        return self.down(self._layer(features, **parameters).apply(self.up(features)))

    def layer_tangent(
        self,
        features: Arrays,
        stencil: Arrays,
        bias: Arrays,
        features_direction: Arrays,
        stencil_direction: Arrays,
        bias_direction: Arrays,
        **kind: str,
    ) -> Arrays:
        """Return the derivative along a direction."""
        about = self._layer(features, stencil, bias, **kind).linearize(self.up(features))[1]
        direction = self._layer(features, stencil_direction, bias_direction, **kind)
        return self.down(about.tangent(self.up(features_direction), direction))

    def layer_adjoint(self, features: Arrays, cotangent: Arrays, **parameters: Any) -> tuple[Arrays, ...]:
        """Return the adjoint of that, for features, stencil and bias."""
        about = self._layer(features, **parameters).linearize(self.up(features))[1]
        back, (stencil, bias) = about.adjoint(self.up(cotangent))
        return self.down(back), self.down(stencil), self.down(bias)

    def _layer(
        self, features: Arrays, stencil: Arrays, bias: Arrays, layer: str, activation: str, boundary: str
    ) -> Layer:
        def convolve(s: Any) -> Convolution:
            return Convolution(s, grid_of(features), boundary, backend=self.place)

        return make_layer(layer, convolve, self.up(stencil), self.up(bias), named_activation(activation))

    def propagate(self, **inputs: Any) -> Arrays:
        """Return the final features."""
        return self.down(self.propagation(inputs).apply(self.up(inputs["images"])))

    def propagate_tangent(self, **inputs: Any) -> Arrays:
        """Return ``J v``."""
        return self.down(self._trajectory(inputs).tangent(self.propagation(inputs, "_direction")))

    def propagate_adjoint(self, cotangent: Arrays, **inputs: Any) -> tuple[Arrays, ...]:
        """Return ``J^T p``."""
        return self.on_host(self._trajectory(inputs).adjoint(self.up(cotangent)))

    def _trajectory(self, inputs: dict[str, Any]) -> Trajectory:
        return linearized(self.propagation(inputs), self.up(inputs["images"]))

    def propagation(self, inputs: dict[str, Any], suffix: str = "") -> Propagation:
        """Return the propagation at the controls, or along a direction of them."""
        return Propagation(architecture(inputs), self.controls(inputs, suffix), self.place)

    def controls(self, inputs: dict[str, Any], suffix: str = "") -> Controls:
        """Return the controls, or a direction of them."""
        return Controls(*(self.up(inputs[name + suffix]) for name in CONTROLS))

    def on_host(self, controls: Controls) -> tuple[Arrays, ...]:
        """Return controls as NumPy arrays."""
        return tuple(self.down(getattr(controls, name)) for name in CONTROLS)

    def prolong_in_time(
        self, stencils: Arrays, biases: Arrays, nodes: int, interpolation: str
    ) -> tuple[Arrays, Arrays]:
        """Return the controls at other nodes."""
        given = Controls(self.up(stencils[0]), self.up(stencils), self.up(biases))
        found = prolong_in_time(self.place.xp, given, int(nodes), interpolation)
        return self.down(found.stencils), self.down(found.biases)

    def switch_level(
        self, W: Arrays, mu: Arrays, transfer: str, shape: Any, nodes: int, boundary: str, **controls: Arrays
    ) -> tuple[Arrays, ...]:
        """Return all parameters on a finer grid and at more nodes."""
        a = _sizes(controls, W.shape[1:-1], W.shape[-1], boundary)
        network = Network(a, self.controls(controls), Classifier(self.up(W), self.up(mu)), self.place)
        fine = transfer_network(network, tuple(int(n) for n in shape), transfer)
        deep = change_depth(fine, int(nodes))
        return *self.on_host(deep.controls), self.down(deep.classifier.W), self.down(deep.classifier.mu)


def architecture(inputs: dict[str, Any], classes: int = 2) -> Architecture:
    """Return sizes and constants of the network that the arguments of a case describe."""
    return _sizes(
        inputs,
        grid_of(inputs["images"]),
        classes,
        inputs["boundary"],
        layers=int(inputs["steps"]),
        final_time=float(inputs["final_time"]),
        **{name: inputs[name] for name in ("activation", "layer", "integrator")},
    )


def _sizes(
    controls: dict[str, Any], shape: Shape, classes: int, boundary: str, **constants: Any
) -> Architecture:
    opening, stencils = controls["opening"], controls["stencils"]
    sizes = {"channels": opening.shape[0], "in_channels": opening.shape[1], "opening_width": opening.shape[2]}
    sizes |= {"width": stencils.shape[3], "layers": len(stencils), "control_nodes": None}
    if constants:
        sizes |= {"control_nodes": len(stencils)}
    return Architecture(shape, classes=classes, boundary=boundary, **(sizes | constants))


def identity_opening(features: Arrays) -> dict[str, Arrays]:
    """Return controls of a network that gives the features back: one step of a layer that is zero."""
    channels, taps = features.shape[0], (1,) * len(grid_of(features))
    opening = np.eye(channels, dtype=features.dtype).reshape(channels, channels, *taps)
    return {
        "opening": opening,
        "stencils": np.zeros((1, *opening.shape), features.dtype),
        "biases": np.zeros((1, channels), features.dtype),
    }
