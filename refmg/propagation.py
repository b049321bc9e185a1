"""Forward propagation through opening and time steps (paper, equations 1 to 3)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property, reduce
from operator import add
from typing import Any

from refmg.activation import named_activation
from refmg.architecture import Architecture
from refmg.controls import ControlGradient, Controls
from refmg.convolution import Convolution
from refmg.dynamics import Layer, make_layer
from refmg.integrators import Integrator, Step, named_integrator
from refmg.readout import Readout
from refmg.time_grid import Weights
from refmg_backends import Backend, ResidualNetwork, ResidualParameters
from refmg_backends.backend import Array


class Propagation:
    """The map from images ``x`` to final features ``Y_N`` at fixed controls.

    Parameters
    ----------
    architecture : Architecture
        Sizes and constants.
    controls : Controls
        Parameters, or the direction of a tangent.
    backend : Backend
        Where the arrays live.

    Notes
    -----
    ``Y_0 = L x``, then N steps of the integrator; forward Euler's are
    ``Y_{k+1} = Y_k + dt F(Y_k, theta(k dt))``. The operators are prepared once and serve any number of
    batches.
    """

    def __init__(self, architecture: Architecture, controls: Controls, backend: Backend) -> None:
        self.architecture, self.controls, self.backend = architecture, controls, backend
        self.integrator: Integrator = named_integrator(architecture.integrator)
        self.steps: Sequence[Step] = self.integrator.schedule(architecture.dt, architecture.layers)

    def _convolution(self, stencil: Array) -> Convolution:
        a = self.architecture
        return Convolution(stencil, a.shape, boundary=a.boundary, backend=self.backend)

    @cached_property
    def opening(self) -> Convolution:
        """The opening ``L``."""
        return self._convolution(self.controls.opening)

    @cached_property
    def stage_weights(self) -> list[list[Weights]]:
        """For every step and each of its nodes, the controls there."""
        grid, N = self.architecture.control_grid, self.architecture.layers
        return [
            [grid.weights((k + node) / Fraction(N), before=node == 1) for node in step.nodes]
            for k, step in enumerate(self.steps)
        ]

    @cached_property
    def layers(self) -> dict[Weights, Layer]:
        """The layer functions, one for each combination of controls that some step needs."""
        return {weights: self.layer_at(weights) for step in self.stage_weights for weights in step}

    def layer_at(self, weights: Weights) -> Layer:
        """Return the layer function whose parameters are this combination of controls."""

        def mix(theta: Array) -> Array:
            return reduce(add, (float(w) * theta[j, ...] if w != 1 else theta[j, ...] for j, w in weights))

        c, a = self.controls, self.architecture
        activation = named_activation(a.activation)
        return make_layer(a.layer, self._convolution, mix(c.stencils), mix(c.biases), activation)

    def stage_layers(self, k: int) -> list[Layer]:
        """Return the layer functions at the nodes of step k."""
        return [self.layers[weights] for weights in self.stage_weights[k]]

    @cached_property
    def residual_parameters(self) -> ResidualParameters:
        """The parameters of all steps of forward Euler with residual layers, as the backend wants them."""
        layers: list[Any] = [self.stage_layers(k)[0] for k in range(self.architecture.layers)]
        stencils = self.backend.xp.stack([layer.convolution.stencil for layer in layers])
        biases = self.backend.xp.stack([layer.bias for layer in layers])
        return ResidualParameters(self.opening.stencil, stencils, biases)

    @cached_property
    def whole(self) -> ResidualNetwork | None:
        """All steps as one kernel, where the backend has one for them."""
        a = self.architecture
        if (a.layer, a.integrator) != ("residual", "euler"):
            return None
        layer: Any = self.stage_layers(0)[0]
        opening, geometry = self.opening.geometry, layer.convolution.geometry
        return self.backend.residual_network(
            self.residual_parameters, layer.activation, a.dt, opening, geometry
        )

    @property
    def lanes(self) -> int:
        """Examples in a vector of the kernels; 1 where one kernel does all steps: it fills up itself."""
        return self.backend.lanes if self.whole is None else 1

    def flat_images(self, x: Array) -> Array | None:
        """Return images as the kernel of :attr:`whole` wants them; None where it cannot take them."""
        if self.whole is None or x.dtype != self.controls.opening.dtype or x.shape[-1] == 0:
            return None
        return self.opening.flat_features(x)

    @cached_property
    def prepared(self) -> Propagation:
        """Itself, with every operator assembled: threads that share it then only read."""
        self.opening.prepare()
        for layer in self.layers.values():
            layer.prepare()
        return self

    def first_state(self, x: Array) -> Array:
        """Return the state at time 0."""
        return self.integrator.embed(self.backend.xp, self.opening.apply(x))

    def step(self, k: int, S: Array) -> Array:
        """Return the state after step k."""
        return self.steps[k].step(self.stage_layers(k), S)

    def linearize_step(self, k: int, S: Array) -> tuple[Array, Any]:
        """Return the state after step k, and the linearised step."""
        return self.steps[k].linearize(self.stage_layers(k), S)

    def apply(self, x: Array) -> Array:
        """Return the final features.

        Parameters
        ----------
        x : array, shape (C_in, n_1, .., n_d, m)
            Images, examples last.

        Returns
        -------
        array, shape (C, n_1, .., n_d, m)

        Raises
        ------
        RefmgError
            If the images do not fit the grid or the channels.
        """
        images = self.flat_images(x)
        if images is not None and self.whole is not None:
            return self.on_grid(self.whole.apply(images))
        S = self.first_state(x)
        for k in range(self.architecture.layers):
            S = self.step(k, S)
        return self.integrator.project(S)

    def logits(self, readout: Readout, x: Array) -> Array:
        """Return the logits ``(classes, m)`` of images ``(C_in, n_1, .., n_d, m)``."""
        if not self.reads(readout, x):
            return readout.logits(self.apply(x))
        assert self.whole is not None
        return readout.from_products(self.whole.apply(self.flat_images(x), readout.matrix))

    def reads(self, readout: Readout, x: Array) -> bool:
        """Return whether the kernel of :attr:`whole` takes these images and the classifier."""
        return readout.matrix.dtype == x.dtype and self.flat_images(x) is not None

    def on_grid(self, Y: Array) -> Array:
        """Return features ``(C, cells, m)`` as ``(C, n_1, .., n_d, m)``."""
        return self.backend.xp.reshape(Y, (Y.shape[0], *self.architecture.shape, Y.shape[-1]))

    def zero_gradient(self) -> ControlGradient:
        """Return an accumulator for the gradient of the controls."""
        return ControlGradient(self.backend.xp, self.controls)
