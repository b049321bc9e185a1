"""Forward propagation through opening and layers, its tangent and its adjoint (paper, equations 1 to 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from refmg.activation import named_activation
from refmg.architecture import Architecture
from refmg.controls import Controls
from refmg.convolution import Convolution
from refmg.dynamics import LinearizedLayer, ResidualLayer
from refmg.euler import ForwardEuler
from refmg_backends import Backend
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
    ``Y_0 = L x`` and ``Y_{k+1} = Y_k + dt sigma(K(s_k) Y_k + b_k)``. The operators are prepared once and
    serve any number of batches.
    """

    def __init__(self, architecture: Architecture, controls: Controls, backend: Backend) -> None:
        self.architecture, self.controls, self.backend = architecture, controls, backend
        self.scheme = ForwardEuler(architecture.dt)

    def _convolution(self, stencil: Array) -> Convolution:
        a = self.architecture
        return Convolution(stencil, a.shape, boundary=a.boundary, backend=self.backend)

    @cached_property
    def opening(self) -> Convolution:
        """The opening ``L``."""
        return self._convolution(self.controls.opening)

    @cached_property
    def layers(self) -> list[ResidualLayer]:
        """The layer functions, one a time step."""
        c, activation = self.controls, named_activation(self.architecture.activation)
        return [
            ResidualLayer(self._convolution(c.stencils[k, ...]), c.biases[k, ...], activation)
            for k in range(self.architecture.layers)
        ]

    @cached_property
    def prepared(self) -> Propagation:
        """Itself, with every operator assembled: threads that share it then only read."""
        for convolution in (self.opening, *(layer.convolution for layer in self.layers)):
            convolution.prepare()
        return self

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
        Y = self.opening.apply(x)
        for layer in self.layers:
            Y = self.scheme.step(layer, Y)
        return Y

    def linearize(self, x: Array) -> tuple[Array, Trajectory]:
        """Return the final features and the linearised propagation, which stores every state."""
        Y, steps = self.opening.apply(x), []
        for layer in self.layers:
            Y, linear = self.scheme.linearize(layer, Y)
            steps.append(linear)
        return Y, Trajectory(self, x, steps)


@dataclass(frozen=True)
class Trajectory:
    """The propagation linearised about one batch: the Jacobian ``J`` of ``Y_N`` by the controls.

    Attributes
    ----------
    propagation : Propagation
        Where the controls are.
    x : array, shape (C_in, n_1, .., n_d, m)
        The batch.
    steps : list of LinearizedLayer
        One a time step.
    """

    propagation: Propagation
    x: Array
    steps: list[LinearizedLayer]

    def tangent(self, direction: Propagation) -> Array:
        """Return ``J`` times a direction of the controls, shape ``(C, n_1, .., n_d, m)``."""
        dY = direction.opening.apply(self.x)
        for linear, change in zip(self.steps, direction.layers, strict=True):
            dY = self.propagation.scheme.tangent(linear, change, dY)
        return dY

    def adjoint(self, P: Array) -> Controls:
        """Return ``J^T P`` for `P` of the shape of the final features."""
        stencils, biases = [], []
        for linear in reversed(self.steps):
            P, stencil, bias = self.propagation.scheme.adjoint(linear, P)
            stencils.append(stencil)
            biases.append(bias)
        xp = self.propagation.backend.xp
        opening = self.propagation.opening.stencil_gradient(self.x, P)
        return Controls(opening, xp.stack(stencils[::-1]), xp.stack(biases[::-1]))
