"""Time stepping by the formulas of each scheme, and the Jacobian of the whole scheme as one dense matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refmg import Architecture, Classifier, Controls, Network, constraint_jacobian, get_backend
from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.reference.layers import apply_layer
from refmg_validation.conformance.reference.operators import convolve

# y, time as a fraction of T -> F
Rate = Callable[[Floats, float], Floats]


def in_time(values: Floats, time: float) -> Floats:
    """Return controls at a time: linear between the nodes ``j / M``, constant after the last.

    Examples
    --------
    >>> [float(in_time(np.array([0.0, 4.0]), t)) for t in (0.0, 0.25, 0.5, 0.9)]
    [0.0, 2.0, 4.0, 4.0]
    """
    place = min(time * len(values), len(values) - 1.0)
    j = int(place)
    w = place - j
    return values[j] if w == 0 else (1 - w) * values[j] + w * values[j + 1]


def propagate(
    layer: str,
    activation: str,
    boundary: str,
    integrator: str,
    final_time: float,
    steps: int,
    images: Floats,
    opening: Floats,
    stencils: Floats,
    biases: Floats,
) -> Floats:
    """Return the final features."""

    def rate(y: Floats, time: float) -> Floats:
        return apply_layer(layer, activation, boundary, y, in_time(stencils, time), in_time(biases, time))

    start = convolve(images, opening, boundary)
    return SCHEMES[integrator](rate, start, final_time / steps, steps)


def _euler(F: Rate, y: Floats, dt: float, steps: int) -> Floats:
    for k in range(steps):
        y = y + dt * F(y, k / steps)
    return y


def _runge_kutta(F: Rate, y: Floats, dt: float, steps: int) -> Floats:
    for k in range(steps):
        t, middle, end = k / steps, (k + 0.5) / steps, (k + 1) / steps
        k1 = F(y, t)
        k2 = F(y + dt / 2 * k1, middle)
        k3 = F(y + dt / 2 * k2, middle)
        k4 = F(y + dt * k3, end)
        y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def _leapfrog(F: Rate, y: Floats, dt: float, steps: int) -> Floats:
    """Step ``y_{k+1} = 2 y_k - y_{k-1} + dt^2 F(y_k)`` from rest, ``y_1 = y_0 + dt^2 / 2 F(y_0)``."""
    old, y = y, y + dt**2 / 2 * F(y, 0.0)
    for k in range(1, steps):
        old, y = y, 2 * y - old + dt**2 * F(y, k / steps)
    return y


def _verlet(F: Rate, y: Floats, dt: float, steps: int) -> Floats:
    """Half a kick of the second half of the channels, a drift of the first, half a kick."""
    half = len(y) // 2
    y = y.copy()
    for k in range(steps):
        y[half:] += dt / 2 * F(y, k / steps)[half:]
        y[:half] += dt * F(y, (k + 0.5) / steps)[:half]
        y[half:] += dt / 2 * F(y, (k + 1) / steps)[half:]
    return y


SCHEMES = {"euler": _euler, "rk4": _runge_kutta, "leapfrog": _leapfrog, "verlet": _verlet}


def jacobian(inputs: dict[str, Any]) -> Floats:
    """Return the derivative of the final features by opening, stencils and biases, as a dense matrix.

    The constraints of all time steps at once, ``A dy = B dtheta``, are solved as a dense system.
    """
    system = constraint_jacobian(network(inputs), inputs["images"])
    states = np.linalg.solve(system.A.toarray(), system.B.toarray())
    return system.observation.toarray() @ states


def network(inputs: dict[str, Any]) -> Network:
    """Return the network that the inputs of a case describe, on the host."""
    opening, stencils = inputs["opening"], inputs["stencils"]
    shape = inputs["images"].shape[1:-1]
    W = inputs.get("W", np.zeros((stencils.shape[1], *shape, 2)))
    architecture = Architecture(
        shape,
        channels=stencils.shape[1],
        layers=inputs["steps"],
        final_time=inputs["final_time"],
        width=stencils.shape[-1],
        opening_width=opening.shape[-1],
        boundary=inputs["boundary"],
        activation=inputs["activation"],
        in_channels=opening.shape[1],
        classes=W.shape[-1],
        layer=inputs["layer"],
        integrator=inputs["integrator"],
        control_nodes=len(stencils),
    )
    controls = Controls(opening, stencils, inputs["biases"])
    classifier = Classifier(W, inputs.get("mu", np.zeros(W.shape[-1])))
    return Network(architecture, controls, classifier, get_backend("numpy"))
