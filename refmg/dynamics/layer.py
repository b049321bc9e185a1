"""What every layer function F has, and how it is made from its parameters."""

from __future__ import annotations

from typing import Any, Protocol

from refmg_backends.backend import Array

# Gradient of one layer's parameters: of its stencil, of its bias.
ParameterGradient = tuple[Array, Array]


class LinearizedLayer(Protocol):
    """The derivative of a layer function with respect to features and parameters, and its adjoint."""

    def tangent(self, dY: Array, direction: Any) -> Array:
        """Return the derivative along `dY` and along the parameters of `direction`.

        Parameters
        ----------
        dY : array, shape (C, n_1, .., n_d, m)
            Direction of the features.
        direction : Layer
            A layer of the same kind that holds the direction of the parameters; its activation is not
            used.
        """

    def adjoint(self, P: Array) -> tuple[Array, ParameterGradient]:
        """Return the adjoint of :meth:`tangent` applied to `P`: for features, and for parameters."""


class Layer(Protocol):
    r"""A layer function :math:`F(y, \theta)` at fixed parameters."""

    def apply(self, Y: Array) -> Array:
        """Return ``F(Y)`` for features `Y` of shape ``(C, n_1, .., n_d, m)``."""

    def linearize(self, Y: Array) -> tuple[Array, LinearizedLayer]:
        """Return ``F(Y)`` and its derivative at `Y`."""

    def prepare(self) -> None:
        """Assemble the operators, so that threads that share the layer only read."""
