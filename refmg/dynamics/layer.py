"""What every layer function F has, and how it is made from its parameters."""

from __future__ import annotations

from typing import Any, Protocol

from refmg_backends.backend import Array

# Gradient of one layer's parameters: of its stencil, of its bias.
ParameterGradient = tuple[Array, Array]


class LinearizedLayer(Protocol):
    """The derivative of a layer function with respect to features and parameters, and its adjoint."""

    def tangent(self, dY: Array, direction: Any, base: Array | None = None, scale: float = 1.0) -> Array:
        """Return base + scale times the derivative along `dY` and the parameters of `direction`.

        Parameters
        ----------
        dY : array, shape (C, n_1, .., n_d, m)
            Direction of the features.
        direction : Layer
            A layer of the same kind that holds the direction of the parameters; its activation is not
            used.
        base : array, of the shape of `dY`, optional
            What the scaled derivative is added to: backends fuse the sum of a time step.
        scale : float
            Factor, such as the time step.
        """

    def adjoint(
        self, P: Array, base: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, ParameterGradient]:
        """Return the adjoint of the derivative applied to ``scale * P``: for features, and for parameters.

        That of the features is added to `base`, that of the parameters is not.
        """


class Layer(Protocol):
    r"""A layer function :math:`F(y, \theta)` at fixed parameters."""

    def apply(self, Y: Array, base: Array | None = None, scale: float = 1.0) -> Array:
        """Return ``base + scale * F(Y)`` for features `Y` of shape ``(C, n_1, .., n_d, m)``."""

    def linearize(
        self, Y: Array, base: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, LinearizedLayer]:
        """Return ``base + scale * F(Y)``, and the derivative of ``F`` at `Y`."""

    def prepare(self) -> None:
        """Assemble the operators, so that threads that share the layer only read."""
