"""The parameters of the propagation: the controls of the optimal control problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from types import ModuleType

import numpy as np

from refmg.architecture import Architecture
from refmg.dynamics import ParameterGradient
from refmg.time_grid import Weights
from refmg_backends import Backend
from refmg_backends.backend import Array

OPENING_SCALE, STENCIL_SCALE = 0.3, 0.1


@dataclass(frozen=True)
class Controls:
    """Opening, stencils and biases, or a direction or gradient of the same shapes.

    Parameters
    ----------
    opening : array, shape (C, C_in, k_1, .., k_d)
        Stencil of the learned opening ``L``.
    stencils : array, shape (M, C, C, k_1, .., k_d)
        One stencil a control node; ``(M, C, C/2, k_1, .., k_d)`` for the Hamiltonian layer.
    biases : array, shape (M, C)
        One number a channel and control node.
    """

    opening: Array
    stencils: Array
    biases: Array

    @property
    def size(self) -> int:
        """How many numbers."""
        return sum(prod(part.shape) for part in (self.opening, self.stencils, self.biases))

    def flat(self, xp: ModuleType) -> Array:
        """Return all numbers as one vector."""
        return xp.concat([xp.reshape(part, (-1,)) for part in (self.opening, self.stencils, self.biases)])

    def unflat(self, xp: ModuleType, vector: Array) -> Controls:
        """Return the controls of these shapes that `vector` lists."""
        parts, start = [], 0
        for part in (self.opening, self.stencils, self.biases):
            size = prod(part.shape)
            parts.append(xp.reshape(vector[start : start + size], part.shape))
            start += size
        return Controls(*parts)

    def map(self, function: Callable[[Array], Array]) -> Controls:
        """Return the controls with `function` applied to each array."""
        return Controls(function(self.opening), function(self.stencils), function(self.biases))


class ControlGradient:
    """The gradient of the controls, summed up step by step.

    Parameters
    ----------
    xp : module
        Array namespace.
    controls : Controls
        Gives the shapes.
    """

    def __init__(self, xp: ModuleType, controls: Controls) -> None:
        self.xp, self.like = xp, controls
        self.parts: list[ParameterGradient | None] = [None] * controls.stencils.shape[0]

    def add(self, stage_weights: Sequence[Weights], gradients: Sequence[ParameterGradient]) -> None:
        """Add the gradients at the nodes of one step: the transpose of the interpolation in time."""
        for weights, (stencil, bias) in zip(stage_weights, gradients, strict=True):
            for j, weight in weights:
                w, old = float(weight), self.parts[j]
                self.parts[j] = (
                    (w * stencil, w * bias) if old is None else (old[0] + w * stencil, old[1] + w * bias)
                )

    def controls(self, opening: Array) -> Controls:
        """Return the sum; zero for controls that no step saw."""
        c, xp = self.like, self.xp
        zero = (xp.zeros_like(c.stencils[0, ...]), xp.zeros_like(c.biases[0, ...]))
        stencils, biases = zip(*(part or zero for part in self.parts), strict=True)
        return Controls(opening, xp.stack(stencils), xp.stack(biases))


def random_controls(
    architecture: Architecture, rng: np.random.Generator, backend: Backend, dtype: str
) -> Controls:
    """Return random stencils and zero biases.

    Parameters
    ----------
    architecture : Architecture
        Gives the shapes.
    rng : numpy.random.Generator
        The only source of randomness; drawn in float64 whatever `dtype`.
    backend : Backend
        Where the arrays shall live.
    dtype : str
        ``"float32"`` or ``"float64"``.

    Returns
    -------
    Controls
        Normal taps with standard deviation ``scale / sqrt(taps that are summed)``. The scales are
        small, so that training starts near the identity and grows rough stencils only where they
        help: networks that started at scale 1 did worse at the other resolution.
    """

    def normal(shape: tuple[int, ...], summed: int, scale: float) -> Array:
        return backend.asarray(rng.normal(0.0, scale * summed**-0.5, shape), dtype=dtype)

    opening, stencil = architecture.opening_shape, architecture.stencil_shape
    M = architecture.control_grid.nodes
    return Controls(
        opening=normal(opening, prod(opening[1:]), OPENING_SCALE),
        stencils=normal((M, *stencil), prod(stencil[1:]), STENCIL_SCALE),
        biases=backend.asarray(np.zeros((M, architecture.channels)), dtype=dtype),
    )
