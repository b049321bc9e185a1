"""The contract of an array backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from refmg_backends.activation import Activation
from refmg_backends.curvature import Curvature
from refmg_backends.geometry import Geometry

Array = Any  # an array of the backend's own library


# What a backend may compute in its own way, in the order of the capability table.
KERNELS = (
    "convolution",
    "stencil_gradient",
    "activated",
    "tangent",
    "cotangent",
    "logits",
    "logits_adjoint",
    "weight_gradient",
    "fixed_features",
    "residual_network",
    "moments",
    "normalized",
    "rectified_sums",
    "combined",
    "max_pool",
    "max_pool_adjoint",
    "momentum_step",
    "map",
)


class ConvolutionKernel(Protocol):
    """One stencil on one grid, ready to be applied to many arrays."""

    def apply(self, Y: Array, add_to: Array | None = None) -> Array:
        """Return ``K Y`` for `Y` of shape ``(C_in, cells, m)``; shape ``(C_out, out_cells, m)``.

        With `add_to` return ``add_to + K Y``; `add_to` itself is not changed.
        """

    def apply_transpose(self, Z: Array, add_to: Array | None = None) -> Array:
        """Return ``K^T Z`` for `Z` of shape ``(C_out, out_cells, m)``; shape ``(C_in, cells, m)``.

        With `add_to` return ``add_to + K^T Z``; `add_to` itself is not changed.
        """


class FixedFeatures(Protocol):
    """Features of some examples, ready for many products with a classifier."""

    def logits(self, W: Array) -> Array:
        """Return ``W^T Y`` for `W` of shape ``(features, classes)``; shape ``(classes, m)``."""

    def gradient(self, G: Array) -> Array:
        """Return ``Y G^T`` for `G` of shape ``(classes, m)``; shape ``(features, classes)``."""

    def product(self, W: Array, mu: Array, curvature: Curvature) -> tuple[Array, Array]:
        """Return ``Y Z^T`` and the sums of Z by class, where ``Z = C (W^T Y + mu)``.

        `C` holds the Hessians of a loss, one an example; `mu` has shape ``(classes,)``.
        """


@dataclass(frozen=True)
class ResidualParameters:
    """The parameters of a residual network, a direction of them, or a gradient.

    Parameters
    ----------
    opening : array, shape (C, C_in, k_1, .., k_d)
        Stencil of ``L``.
    stencils : array, shape (layers, C, C, k_1, .., k_d)
        One a layer.
    biases : array, shape (layers, C)
        One a layer and channel.
    """

    opening: Array
    stencils: Array
    biases: Array


class LinearizedNetwork(Protocol):
    """The derivative of a residual network about some images; `readout` as for :class:`ResidualNetwork`."""

    def tangent(self, direction: ResidualParameters, readout: Array | None = None) -> Array:
        """Return the derivative of the final features or logits along a direction."""

    def adjoint(self, P: Array, readout: Array | None = None) -> ResidualParameters:
        """Return the gradient of ``<P, final features>``, or of logits, by the parameters."""


class ResidualNetwork(Protocol):
    """``Y_0 = L x``, ``Y_{k+1} = Y_k + scale sigma(K_k Y_k + b_k)``, from images to final features.

    With a `readout` W of shape ``(C cells, classes)`` and of the parameters' type, each method is about
    ``W^T Y`` of shape ``(classes, m)`` instead of the final features Y of shape ``(C, cells, m)``, which then
    need not be written anywhere. W is not to be changed as long as the network is used.
    """

    def apply(self, x: Array, readout: Array | None = None) -> Array:
        """Return the final features, or logits, of images ``(C_in, cells, m)``."""

    def linearize(self, x: Array, readout: Array | None = None) -> tuple[Array, LinearizedNetwork]:
        """Return the final features or logits, and the derivative there."""


class Backend(Protocol):
    """What refmg asks of an array library and a machine.

    A backend is a module-like object with an array-API namespace ``xp``, conversions from and to
    NumPy, and the kernels of :data:`KERNELS`. Third parties register a factory (called without
    arguments) in the entry-point group ``refmg.backends``; :class:`refmg_backends.ArrayBackend` has
    every kernel for any array-API namespace, so that a backend writes only what it does better.

    Attributes
    ----------
    name : str
        The name in ``REFMG_BACKEND``.
    xp : module
        An array-API namespace.
    device : str
        Where the arrays live, in words.
    deterministic : bool
        Whether the same call gives the same bits each time.
    tf32 : bool
        Whether products of float32 numbers may be rounded to TF32, on request only.
    lanes : int
        Numbers of examples that are multiples of it suit the kernels; 1 where any does.
    examples : int
        Batches of more examples are better cut; 0 where any size does.
    """

    name: str
    xp: ModuleType
    device: str
    deterministic: bool
    tf32: bool
    lanes: int
    examples: int

    def asarray(self, x: Any, dtype: str | None = None) -> Array:
        """Return `x` as an array of this backend, moved to its device."""

    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        """Return `x` on the host."""

    def synchronize(self) -> None:
        """Wait until everything that was begun is finished."""

    def release(self) -> None:
        """Give memory that is kept for later back to the system."""

    def threads(self) -> int:
        """Return how many threads of the CPU the kernels may use."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield `function` of each item in order, computed one after the other or side by side.

        What it yields must not depend on how the calls overlap, to the last bit.
        """

    def convolution(self, stencil: Array, geometry: Geometry) -> ConvolutionKernel:
        """Prepare a stencil of shape ``(C_out, C_in, k_1, .., k_d)`` for application."""

    def stencil_gradient(self, Y: Array, Z: Array, geometry: Geometry) -> Array:
        """Return ``G`` of shape ``(C_out, C_in, k..)`` with ``<G, s> = <Z, K(s) Y>`` for every ``s``."""

    def activated(
        self,
        kernel: ConvolutionKernel,
        Y: Array,
        bias: Array,
        activation: Activation,
        base: Array | None = None,
        scale: float = 1.0,
        slope: bool = False,
    ) -> tuple[Array, Array | None]:
        """Return ``base + scale * sigma(K Y + b)`` and, with `slope`, ``sigma'(K Y + b)``.

        Features as for the kernel; `bias` of shape ``(C_out,)``; no `base` counts as zero.
        """

    def tangent(
        self, slope: Array, X: Array, bias: Array, base: Array | None = None, scale: float = 1.0
    ) -> Array:
        """Return ``base + scale * slope * (X + b)`` for arrays ``(C, cells, m)`` and a bias ``(C,)``."""

    def cotangent(self, slope: Array, P: Array, scale: float = 1.0) -> tuple[Array, Array]:
        """Return ``Q = scale * slope * P`` of shape ``(C, cells, m)``, and its sums by channel."""

    def logits(self, W: Array, Y: Array) -> Array:
        """Return ``W^T Y`` for `W` of shape ``(features, classes)`` and `Y` of shape ``(features, m)``."""

    def logits_adjoint(self, W: Array, G: Array) -> Array:
        """Return ``W G`` for `W` of shape ``(features, classes)`` and `G` of shape ``(classes, m)``."""

    def weight_gradient(self, Y: Array, G: Array) -> Array:
        """Return ``Y G^T`` for `Y` of shape ``(features, m)`` and `G` of shape ``(classes, m)``."""

    def fixed_features(self, parts: Iterable[Array], examples: int, classes: int) -> FixedFeatures:
        """Keep features, given in parts of shape ``(features, m_i)``, for many products.

        There are so many `examples` in all, in one type, and so many `classes` to come.
        """

    def residual_network(
        self,
        parameters: ResidualParameters,
        activation: Activation,
        scale: float,
        opening_geometry: Geometry,
        geometry: Geometry,
    ) -> ResidualNetwork | None:
        """Prepare a residual network as a whole; None where one layer after the other is as quick."""

    def moments(self, X: Array) -> tuple[Array, Array]:
        """Return mean and biased variance of each channel of `X`, shape ``(C, cells, m)``."""

    def normalized(
        self,
        X: Array,
        mean: Array,
        scale: Array,
        shift: Array,
        base: Array | None = None,
        rectify: bool = False,
    ) -> Array:
        """Return ``base + scale (X - mean) + shift``, and of that ``max(., 0)`` with `rectify`.

        Features ``(C, cells, m)``, one mean, scale and shift a channel; no `base` counts as zero.
        """

    def rectified_sums(
        self, P: Array, X: Array, mean: Array, Y: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Return ``Q = P`` where ``Y > 0``, else 0, its sums by channel, and those of ``Q (X - mean)``.

        Without `Y`, the output of a rectified normalisation, ``Q`` is `P` itself.
        """

    def combined(self, Q: Array, X: Array, mean: Array, a: Array, b: Array, c: Array) -> Array:
        """Return ``a Q + b (X - mean) + c`` with one a, b, c and mean a channel."""

    def max_pool(self, Y: Array, geometry: Geometry, choice: bool = False) -> tuple[Array, Array | None]:
        """Return the maxima of `Y`, ``(C, cells, m)``, over the window around each output cell.

        With `choice` also which tap has each, int8, the first of equal ones. Outside of ``"zero"`` lies
        nothing (minus infinity), not 0.
        """

    def max_pool_adjoint(self, choice: Array, P: Array, geometry: Geometry) -> Array:
        """Return, shape ``(C, cells, m)``, for each cell the sum of `P` over the outputs that chose it.

        `P` and `choice` have shape ``(C, out_cells, m)``.
        """

    def momentum_step(
        self,
        parameters: Sequence[Array],
        gradient: Sequence[Array],
        velocity: Array | None,
        rate: float,
        momentum: float,
        decay: float,
    ) -> tuple[list[Array], Array]:
        """Return ``p - rate v`` for each array p, and the vector ``v = momentum velocity + g + decay p``.

        `velocity` has the numbers of all arrays in their order; None, before the first step, counts as zero.
        """
