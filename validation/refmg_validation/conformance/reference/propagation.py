"""Time stepping by the formulas of each scheme, and the Jacobian of the whole scheme as one dense matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.reference.layers import on_grid, varied_layer
from refmg_validation.conformance.reference.varied import Varied, constant, independent, joined

# y, time as a fraction of T -> F
Rate = Callable[[Varied, float], Varied]
CONTROLS = ("opening", "stencils", "biases")


def in_time(values: Any, time: float) -> Any:
    """Return controls at a time: linear between the nodes ``j / M``, constant after the last.

    Examples
    --------
    >>> import numpy as np
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
    controls = map(constant, (opening, stencils, biases))
    kind = (layer, activation, boundary)
    return _final(kind, integrator, final_time, steps, constant(images), *controls).value


def jacobian(inputs: dict[str, Any]) -> Floats:
    """Return the derivative of the final features by opening, stencils and biases, as a dense matrix."""
    kind = inputs["layer"], inputs["activation"], inputs["boundary"]
    controls = independent(*(inputs[name] for name in CONTROLS))
    images = constant(inputs["images"], controls[0].rate.shape[-1])
    found = _final(kind, inputs["integrator"], inputs["final_time"], inputs["steps"], images, *controls)
    return found.rate.reshape(found.value.size, -1)


def _final(
    kind: tuple[str, str, str],
    integrator: str,
    final_time: float,
    steps: int,
    images: Varied,
    opening: Varied,
    stencils: Varied,
    biases: Varied,
) -> Varied:
    def rate(y: Varied, time: float) -> Varied:
        return varied_layer(*kind, y, in_time(stencils, time), in_time(biases, time))

    start = on_grid(opening, images, kind[-1])
    return SCHEMES[integrator](rate, start, final_time / steps, steps)


def _euler(F: Rate, y: Varied, dt: float, steps: int) -> Varied:
    for k in range(steps):
        y = y + dt * F(y, k / steps)
    return y


def _runge_kutta(F: Rate, y: Varied, dt: float, steps: int) -> Varied:
    for k in range(steps):
        t, middle, end = k / steps, (k + 0.5) / steps, (k + 1) / steps
        k1 = F(y, t)
        k2 = F(y + dt / 2 * k1, middle)
        k3 = F(y + dt / 2 * k2, middle)
        k4 = F(y + dt * k3, end)
        y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def _leapfrog(F: Rate, y: Varied, dt: float, steps: int) -> Varied:
    """Step ``y_{k+1} = 2 y_k - y_{k-1} + dt^2 F(y_k)`` from rest, ``y_1 = y_0 + dt^2 / 2 F(y_0)``."""
    old, y = y, y + dt * dt / 2 * F(y, 0.0)
    for k in range(1, steps):
        old, y = y, 2 * y - old + dt * dt * F(y, k / steps)
    return y


def _verlet(F: Rate, y: Varied, dt: float, steps: int) -> Varied:
    """Half a kick of the second half of the channels, a drift of the first, half a kick."""
    half = len(y) // 2

    def kick(y: Varied, time: float) -> Varied:
        return joined(y[:half], y[half:] + dt / 2 * F(y, time)[half:])

    for k in range(steps):
        y = kick(y, k / steps)
        y = joined(y[:half] + dt * F(y, (k + 0.5) / steps)[:half], y[half:])
        y = kick(y, (k + 1) / steps)
    return y


SCHEMES = {"euler": _euler, "rk4": _runge_kutta, "leapfrog": _leapfrog, "verlet": _verlet}
