"""Layer functions F, each with its derivative and adjoint."""

from __future__ import annotations

from collections.abc import Callable

from refmg.activation import Activation
from refmg.convolution import Convolution
from refmg.dynamics.hamiltonian import HamiltonianLayer, halves
from refmg.dynamics.layer import Layer, LinearizedLayer
from refmg.dynamics.layer import ParameterGradient as ParameterGradient
from refmg.dynamics.residual import ResidualLayer
from refmg.dynamics.symmetric import SymmetricLayer
from refmg_backends.backend import Array

LAYERS = ("residual", "symmetric", "hamiltonian")

__all__ = [
    "HamiltonianLayer",
    "LAYERS",
    "Layer",
    "LinearizedLayer",
    "ResidualLayer",
    "SymmetricLayer",
    "halves",
    "make_layer",
]


def make_layer(
    kind: str, convolve: Callable[[Array], Convolution], stencil: Array, bias: Array, activation: Activation
) -> Layer:
    """Return a layer function from its parameters.

    Parameters
    ----------
    kind : {"residual", "symmetric", "hamiltonian"}
        Which function.
    convolve : callable
        From a stencil to its convolution on the grid.
    stencil : array, shape (C, C, k_1, .., k_d), or (C, C/2, k_1, .., k_d) for the Hamiltonian pair
        Taps.
    bias : array, shape (C,)
        One number a channel.
    activation : Activation
        The nonlinearity.

    Returns
    -------
    Layer
    """
    if kind == "residual":
        return ResidualLayer(convolve(stencil), bias, activation)
    if kind == "symmetric":
        return SymmetricLayer(convolve(stencil), bias, activation)
    (s_upper, s_lower), (b_upper, b_lower) = halves(stencil), halves(bias)
    upper = SymmetricLayer(convolve(s_upper), b_upper, activation, sign=1.0)
    return HamiltonianLayer(upper, SymmetricLayer(convolve(s_lower), b_lower, activation))
