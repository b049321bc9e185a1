"""Whole residual networks of the ``numba`` backend: all layers of a block of examples while it is cached."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from refmg_backends.backend import ResidualParameters
from refmg_backends.errors import RefmgError, check_shape
from refmg_backends.geometry import OUTSIDE, Geometry
from refmg_backends.numba_kernels import codes, winograd
from refmg_backends.numba_kernels import network as kernels
from refmg_backends.numba_kernels.convolve import gather_rows, pack, scatter_rows
from refmg_backends.numba_kernels.memory import aligned_empty, whole_vectors
from refmg_backends.numba_kernels.vectors import VECTORS, lanes

Real = NDArray[Any]
Indices = NDArray[np.int64]
# Bytes of state, next state and slope of one block that shall stay in a second-level cache.
CACHE = 6 << 19
MOST_PARTS, SUMS = 32, 1 << 22  # of a gradient, summed up by blocks of examples; bytes of all parts


def packed(stencils: Real) -> Real:
    """Return stencils ``(layers, C_out, C_in, k..)`` in the kernels' order, one row a layer."""
    layers, c_out, c_in = stencils.shape[:3]
    rows = [pack(stencil.reshape(c_out, c_in, -1)) for stencil in stencils]
    return np.stack(rows) if layers else np.zeros((0, 0), stencils.dtype)


class NumbaNetwork:
    """A residual network, prepared.

    Parameters
    ----------
    parameters : ResidualParameters
        Opening, stencils and biases in one of the types float32 and float64.
    activation : str
        One that the kernels have.
    scale : float
        The time step.
    opening_geometry, geometry : Geometry
        Of the opening and of the layers, both on one grid.
    """

    def __init__(
        self,
        parameters: ResidualParameters,
        activation: str,
        scale: float,
        opening_geometry: Geometry,
        geometry: Geometry,
    ) -> None:
        self.parameters, self.dtype = parameters, parameters.opening.dtype
        self.opening_geometry, self.geometry = opening_geometry, geometry
        self.code, self.scale = codes.CODES[activation], self.dtype.type(scale)
        self.lanes = lanes(self.dtype.itemsize)
        self.channels, self.in_channels = parameters.opening.shape[:2]
        self._ordered: tuple[Real, Real, Real] | None = None

    @cached_property
    def reads(self) -> tuple[Indices, Indices, Indices]:
        """Where each tap reads in a block: of the opening, of the layers, of their transposes."""
        rows0, rows, back = (f(g)[0] for f, g in (
            (gather_rows, self.opening_geometry), (gather_rows, self.geometry), (scatter_rows, self.geometry)
        ))  # fmt: skip
        sizes = self.in_channels, self.channels, self.channels
        return tuple(  # type: ignore[return-value]
            np.where(r == OUTSIDE, self.geometry.cells, r) * (c * self.each)
            for r, c in zip((rows0, rows, back), sizes, strict=True)
        )

    @cached_property
    def forward(self) -> tuple[Real, Real, Real]:
        """Opening, stencils and biases in the kernels' order."""
        return self.packed(self.parameters)

    @cached_property
    def back(self) -> Real:
        """The stencils of the transposes in the kernels' order."""
        return packed(np.swapaxes(self.parameters.stencils, 1, 2))

    def packed(self, parameters: ResidualParameters) -> tuple[Real, Real, Real]:
        """Return parameters, or a direction of them, in the kernels' order."""
        for name in ("opening", "stencils", "biases"):
            check_shape(name, getattr(parameters, name).shape, getattr(self.parameters, name).shape)
        opening = packed(parameters.opening[None].astype(self.dtype, copy=False))[0]
        biases = np.ascontiguousarray(parameters.biases, self.dtype)
        return opening, packed(parameters.stencils.astype(self.dtype, copy=False)), biases

    def apply(self, x: Real, readout: Real | None = None) -> Real:
        """Return the final features ``(C, cells, m)`` of images ``(C_in, cells, m)``, or their logits."""
        return self._run(x, readout, keep=False)[0]

    def linearize(self, x: Real, readout: Real | None = None) -> tuple[Real, LinearizedNumbaNetwork]:
        """Return the final features or logits, and the network linearised there."""
        found, kept = self._run(x, readout, keep=True)
        return found, LinearizedNumbaNetwork(self, x.shape[2], kept)

    def ordered(self, readout: Real | None) -> tuple[Real, Real]:
        """Return weights in the order of a block's features, and transposed; none without a readout.

        The last ones are kept: like the parameters, a readout is not to be changed.
        """
        if readout is None:
            return np.empty((0, 0), self.dtype), np.empty((0, 0), self.dtype)
        if self._ordered is None or self._ordered[0] is not readout:
            rows = self.channels * self.geometry.cells
            check_shape("weights", readout.shape, (rows, readout.shape[-1]))
            if readout.dtype != self.dtype:
                raise RefmgError(f"found weights of type {readout.dtype}; expected {self.dtype}")
            W = readout.reshape(self.channels, -1, readout.shape[1]).swapaxes(0, 1)
            here = np.array(W, order="C").reshape(rows, -1)
            self._ordered = readout, here, np.array(here.T, order="C")
        return self._ordered[1:]

    def results(self, examples: int, W: Real) -> tuple[Real, Real]:
        """Return where final features go, and logits: one of them is empty."""
        features = 0 if len(W) else examples
        out = aligned_empty((self.channels, self.geometry.cells, features), self.dtype)
        return out, np.empty((W.shape[1], examples if len(W) else 0), self.dtype)

    def _run(self, x: Real, readout: Real | None, keep: bool) -> tuple[Real, tuple[Real, Real, Real]]:
        cells = self.geometry.cells
        check_shape("images", x.shape, (self.in_channels, cells, x.shape[2]))
        (opening, stencils, biases), each = self.forward, self.each
        count = -(-x.shape[2] // each) if keep else numba.get_num_threads()
        layers = len(stencils) if keep else 0
        images = self.blocks(count, self.in_channels)
        states, slopes = (self.blocks(count, layers, self.channels) for _ in range(2))
        W = self.ordered(readout)[0]
        out, logits = self.results(x.shape[2], W)
        kernels.propagate(
            whole_vectors(x, self.dtype, 1), opening, self.reads[0], stencils, self.reads[1], biases,
            codes.constants(self.dtype.name), self.scale, self.code, self.lanes, images, states, slopes, keep,
            self.scratch(2), out, W, logits,
        )  # fmt: skip
        return logits if len(W) else out, (images, states, slopes)

    @property
    def each(self) -> int:
        """Examples in a block: two vectors where the states then stay in the cache, else one."""
        wide = VECTORS * self.lanes
        return (
            wide
            if 3 * self.channels * self.geometry.cells * wide * self.dtype.itemsize <= CACHE
            else self.lanes
        )

    def scratch(self, count: int) -> Real:
        """Return room for some states of a block for every thread."""
        return self.blocks(numba.get_num_threads(), count, self.channels)

    def blocks(self, *counts: int) -> Real:
        """Return arrays ``(.., cells + 1, channels, lanes)``, uninitialised."""
        return aligned_empty((*counts[:-1], self.geometry.cells + 1, counts[-1], self.each), self.dtype)


class LinearizedNumbaNetwork:
    """The derivative of a residual network about some images, and its adjoint.

    Parameters
    ----------
    network : NumbaNetwork
        Where the parameters are.
    examples : int
        How many images.
    kept : tuple of ndarray
        Images, states and slopes of all blocks.
    """

    def __init__(self, network: NumbaNetwork, examples: int, kept: tuple[Real, Real, Real]) -> None:
        self.network, self.examples, self.kept = network, examples, kept

    def tangent(self, direction: ResidualParameters, readout: Real | None = None) -> Real:
        """Return the derivative of the final features or logits along a direction of the parameters."""
        n = self.network
        opening, stencils, biases = n.packed(direction)
        W = n.ordered(readout)[0]
        out, logits = n.results(self.examples, W)
        kernels.tangent(
            n.forward[1], n.reads[1], opening, n.reads[0], stencils, biases, n.scale, n.lanes, *self.kept,
            n.scratch(2), out, W, logits,
        )  # fmt: skip
        return logits if len(W) else out

    def adjoint(self, P: Real, readout: Real | None = None) -> ResidualParameters:
        """Return the gradient of ``<P, final features>``, or of logits, by the parameters."""
        n, shapes = self.network, self.network.parameters
        W = n.ordered(readout)[1]
        cells = n.geometry.cells
        check_shape("adjoint", P.shape, (*([len(W)] if len(W) else [n.channels, cells]), self.examples))
        given = whole_vectors(P, n.dtype, 1)
        features, logits = (np.empty((0, 0, 0), n.dtype), given) if len(W) else (given, W)
        layers = len(shapes.stencils)
        # As the shapes decide: many where gradients are small, so that no result depends on threads.
        parts = max(1, min(MOST_PARTS, len(self.kept[0]), SUMS // max(1, shapes.stencils.nbytes)))
        # In the kernel's order: output channels, taps, input channels.
        openings = np.empty((parts, n.channels, n.opening_geometry.taps, n.in_channels), n.dtype)
        stencils = np.empty((parts, layers, n.channels, n.geometry.taps, n.channels), n.dtype)
        biases = np.empty((parts, layers, n.channels), n.dtype)
        kernels.adjoint(
            features, W, logits, n.back, n.reads[2], scatter_rows(n.geometry)[1],
            table(n.opening_geometry), table(n.geometry), n.scale, n.lanes, *self.kept, n.scratch(3),
            openings.reshape(parts, -1), stencils.reshape(parts, layers, -1), biases,
        )  # fmt: skip
        found = (np.swapaxes(a.sum(axis=0), -1, -2) for a in (openings, stencils))
        opening, stencils = (
            np.ascontiguousarray(a).reshape(like.shape)
            for a, like in zip(found, (shapes.opening, shapes.stencils), strict=True)
        )
        return ResidualParameters(opening, stencils, biases.sum(axis=0))


def table(geometry: Geometry) -> NDArray[Any]:
    """Return the geometry's table as the kernels want it: writable, of 64-bit indices."""
    return np.array(gather_rows(geometry)[0].T, order="C")


def suits(parameters: ResidualParameters, geometry: Geometry, opening_geometry: Geometry) -> bool:
    """Return whether whole networks are quicker than single layers: not where minimal filtering is."""
    channels = parameters.opening.shape[0]
    same = geometry.shape == geometry.out_shape == opening_geometry.shape == opening_geometry.out_shape
    return same and not winograd.suits(geometry, channels, channels)
