"""The propagation linearised about one batch: tangent and adjoint, with states stored or recomputed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import isqrt
from typing import Any

from refmg.controls import Controls
from refmg.integrators import Integrator, ReversibleStep
from refmg.propagation import Propagation
from refmg.readout import Readout
from refmg_backends import RefmgError, one_of
from refmg_backends.backend import Array, ResidualParameters
from refmg_backends.errors import check_shape

STORAGES = ("all", "checkpoint", "reversible")

# A step's number and its linearisation.
Linearized = Iterator[tuple[int, Any]]


class Trajectory:
    """The Jacobian ``J`` of the final features by the controls, every linearised step stored.

    Parameters
    ----------
    propagation : Propagation
        Where the controls are.
    x : array, shape (C_in, n_1, .., n_d, m)
        The batch.

    Attributes
    ----------
    Y : array, shape (C, n_1, .., n_d, m)
        The final features.
    """

    def __init__(self, propagation: Propagation, x: Array) -> None:
        self.propagation, self.x = propagation, x
        self.Y = propagation.integrator.project(self._run())

    def _run(self) -> Array:
        S, self._steps = self.propagation.first_state(self.x), list[Any]()
        for k in range(self.propagation.architecture.layers):
            S, linear = self.propagation.linearize_step(k, S)
            self._steps.append(linear)
        return S

    def forward(self) -> Linearized:
        """Yield the linearised steps, the first one first."""
        yield from enumerate(self._steps)

    def backward(self) -> Linearized:
        """Yield the linearised steps, the last one first."""
        yield from reversed(list(enumerate(self._steps)))

    def logits(self, readout: Readout) -> Array:
        """Return the logits, ``(classes, m)``."""
        return readout.logits(self.Y)

    def logits_tangent(self, readout: Readout, direction: Propagation) -> Array:
        """Return the derivative of the logits along a direction of the controls."""
        return readout.tangent(self.tangent(direction))

    def logits_adjoint(self, readout: Readout, G: Array) -> Controls:
        """Return the adjoint of the logits' derivative, for `G` of their shape."""
        shape = self.propagation.architecture.classifier_shape[:-1]
        return self.adjoint(readout.adjoint(G, (*shape, G.shape[1])))

    def tangent(self, direction: Propagation) -> Array:
        """Return ``J`` times a direction of the controls, shape ``(C, n_1, .., n_d, m)``."""
        p, dS = self.propagation, direction.first_state(self.x)
        for k, linear in self.forward():
            dS = p.steps[k].tangent(linear, direction.stage_layers(k), dS)
        return p.integrator.project(dS)

    def adjoint(self, P: Array) -> Controls:
        """Return ``J^T P`` for `P` of the shape of the final features."""
        p = self.propagation
        total, P = p.zero_gradient(), p.integrator.embed(p.backend.xp, P)
        for k, linear in self.backward():
            P, gradients = p.steps[k].adjoint(linear, P)
            total.add(p.stage_weights[k], gradients)
        return total.controls(p.opening.stencil_gradient(self.x, p.integrator.project(P)))


class WholeTrajectory(Trajectory):
    """All steps of a residual network with forward Euler, as one kernel of the backend.

    What :class:`Trajectory` finds, up to rounding.
    """

    def _run(self) -> Array:
        p = self.propagation
        images = p.flat_images(self.x)
        assert p.whole is not None
        Y, self._linear = p.whole.linearize(images)
        return p.on_grid(Y)

    def forward(self) -> Linearized:
        """Yield the linearised steps, recomputed and not kept."""
        yield from _recomputed(self.propagation, self.x)

    def backward(self) -> Linearized:
        """Yield the linearised steps, the last one first, recomputed."""
        yield from reversed(list(self.forward()))

    def tangent(self, direction: Propagation) -> Array:
        """Return ``J`` times a direction of the controls, shape ``(C, n_1, .., n_d, m)``."""
        c = direction.controls
        if not self._takes(c.opening, c.stencils, c.biases):
            return super().tangent(direction)
        return self.propagation.on_grid(self._linear.tangent(direction.residual_parameters))

    def _takes(self, *arrays: Array) -> bool:
        """Return whether these have the kernel's type; others, such as complex ones, go step by step."""
        return all(a.dtype == self.propagation.controls.opening.dtype for a in arrays)

    def adjoint(self, P: Array) -> Controls:
        """Return ``J^T P`` for `P` of the shape of the final features."""
        expected = *self.propagation.architecture.classifier_shape[:-1], self.x.shape[-1]
        check_shape("adjoint of the features", P.shape, expected)
        if not self._takes(P):
            return super().adjoint(P)
        flat = self.propagation.backend.xp.reshape(P, (P.shape[0], -1, P.shape[-1]))
        return self._controls(self._linear.adjoint(flat))

    def _controls(self, found: ResidualParameters) -> Controls:
        """Return the gradient by the controls for that by the parameters of all steps."""
        p, total = self.propagation, self.propagation.zero_gradient()
        for k, weights in reversed(list(enumerate(p.stage_weights))):
            total.add(weights, [(found.stencils[k, ...], found.biases[k, ...])])
        return total.controls(found.opening)


class ReadTrajectory(WholeTrajectory):
    """A :class:`WholeTrajectory` whose features meet a classifier before they leave the kernel.

    Parameters
    ----------
    propagation : Propagation
        Where the controls are.
    x : array, shape (C_in, n_1, .., n_d, m)
        The batch.
    readout : Readout
        The classifier.
    """

    def __init__(self, propagation: Propagation, x: Array, readout: Readout) -> None:
        self.propagation, self.x = propagation, x
        images = propagation.flat_images(x)
        assert propagation.whole is not None
        products, self._linear = propagation.whole.linearize(images, readout.matrix)
        self._readout, self._logits = readout, readout.from_products(products)

    def logits(self, readout: Readout) -> Array:
        """Return the logits, ``(classes, m)``."""
        return self._logits if readout is self._readout else super().logits(readout)

    def logits_tangent(self, readout: Readout, direction: Propagation) -> Array:
        """Return the derivative of the logits along a direction of the controls."""
        c = direction.controls
        if not self._takes(c.opening, c.stencils, c.biases, readout.matrix):
            return super().logits_tangent(readout, direction)
        products = self._linear.tangent(direction.residual_parameters, readout.matrix)
        return readout.cell_volume * products

    def logits_adjoint(self, readout: Readout, G: Array) -> Controls:
        """Return the adjoint of the logits' derivative, for `G` of their shape."""
        if not self._takes(G, readout.matrix):
            return super().logits_adjoint(readout, G)
        return self._controls(self._linear.adjoint(readout.cell_volume * G, readout.matrix))

    @cached_property
    def Y(self) -> Array:  # type: ignore[override]
        """The final features; found anew, and only when asked for."""
        return self.propagation.apply(self.x)


class CheckpointedTrajectory(Trajectory):
    """Only the states at the starts of about ``sqrt(N)`` segments are stored.

    The tangent recomputes every step, the adjoint one segment at a time: one more propagation, and
    memory for ``2 sqrt(N)`` steps.
    """

    def _run(self) -> Array:
        p = self.propagation
        steps = p.architecture.layers
        length = isqrt(steps - 1) + 1
        self._segments = [range(k, min(k + length, steps)) for k in range(0, steps, length)]
        S, self._starts = p.first_state(self.x), list[Array]()
        for segment in self._segments:
            self._starts.append(S)
            for k in segment:
                S = p.step(k, S)
        return S

    def forward(self) -> Linearized:
        """Yield the linearised steps, recomputed and not kept."""
        yield from _recomputed(self.propagation, self.x)

    def backward(self) -> Linearized:
        """Yield the linearised steps, the last one first, recomputed segment by segment."""
        for segment, start in reversed(list(zip(self._segments, self._starts, strict=True))):
            S, steps = start, list[tuple[int, Any]]()
            for k in segment:
                S, linear = self.propagation.linearize_step(k, S)
                steps.append((k, linear))
            while steps:
                yield steps.pop()


class ReversibleTrajectory(Trajectory):
    """Only the last state is stored; steps are undone one by one: memory does not grow with depth.

    Undoing a step subtracts what the step added, so that states come back up to rounding, which grows
    as the errors of the scheme do: with the depth, for stable layers.
    """

    def _run(self) -> Array:
        p = self.propagation
        S = p.first_state(self.x)
        for k in range(p.architecture.layers):
            S = p.step(k, S)
        self._last = S
        return S

    def forward(self) -> Linearized:
        """Yield the linearised steps, recomputed and not kept."""
        yield from _recomputed(self.propagation, self.x)

    def backward(self) -> Linearized:
        """Yield the linearised steps, the last one first, each undone before it is linearised."""
        p, S = self.propagation, self._last
        for k in reversed(range(p.architecture.layers)):
            step: ReversibleStep = p.steps[k]  # type: ignore[assignment]
            S = step.reverse(p.stage_layers(k), S)
            yield k, p.linearize_step(k, S)[1]


def _recomputed(p: Propagation, x: Array) -> Linearized:
    S = p.first_state(x)
    for k in range(p.architecture.layers):
        S, linear = p.linearize_step(k, S)
        yield k, linear


def linearized(
    propagation: Propagation, x: Array, storage: str = "all", readout: Readout | None = None
) -> Trajectory:
    """Return the linearised propagation of a batch.

    Parameters
    ----------
    propagation : Propagation
        Where the controls are.
    x : array, shape (C_in, n_1, .., n_d, m)
        Images, examples last.
    storage : {"all", "checkpoint", "reversible"}
        What is kept for the sensitivities: everything, states at ``sqrt(N)`` times, or the last state.
    readout : Readout, optional
        Given where its logits are all that will be asked for, with their derivative and its adjoint.

    Returns
    -------
    Trajectory

    Raises
    ------
    RefmgError
        If the storage is unknown, or reversible and the integrator is not.
    """
    check_storage(storage, propagation.integrator)
    if storage == "all" and propagation.flat_images(x) is not None:
        if readout is not None and propagation.reads(readout, x):
            return ReadTrajectory(propagation, x, readout)
        return WholeTrajectory(propagation, x)
    kinds = {"all": Trajectory, "checkpoint": CheckpointedTrajectory, "reversible": ReversibleTrajectory}
    return kinds[storage](propagation, x)


def check_storage(storage: str, integrator: type[Integrator] | Integrator | None = None) -> None:
    """Refuse a storage that is unknown, or that an integrator has not.

    Raises
    ------
    RefmgError
        If the storage is unknown, or reversible and the integrator is not.

    Examples
    --------
    >>> check_storage("checkpoint")
    """
    if storage not in STORAGES:
        raise RefmgError(one_of("storage", storage, STORAGES))
    if integrator is not None and storage == "reversible" and not integrator.reversible:
        raise RefmgError(
            f"found storage 'reversible' with the integrator {integrator.name!r}, whose steps cannot be "
            "undone; expected 'leapfrog' or 'verlet', or storage 'checkpoint'"
        )
