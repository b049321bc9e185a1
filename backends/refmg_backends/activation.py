"""Pointwise nonlinearities, each with its derivative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from refmg_backends.errors import RefmgError, one_of

Array = Any  # an array of any array-API library

Pointwise = Callable[[ModuleType, Array], Array]


@dataclass(frozen=True)
class Activation:
    """A pointwise function and the derivative that its sensitivities use.

    Parameters
    ----------
    name : str
        As in :data:`ACTIVATIONS`.
    value : callable
        ``value(xp, x)``.
    slope : callable
        ``slope(xp, a, x)``, the derivative at ``x``, given ``a = value(xp, x)`` as well.
    """

    name: str
    value: Pointwise
    slope: Callable[[ModuleType, Array, Array], Array]

    def with_slope(self, xp: ModuleType, x: Array) -> tuple[Array, Array]:
        """Return value and derivative at `x`."""
        a = self.value(xp, x)
        return a, self.slope(xp, a, x)


# CORNER is the half width of the parabola that rounds the corner of the smooth relu.
CORNER = 0.1


def _relu(xp: ModuleType, x: Array) -> Array:
    return xp.maximum(x, xp.zeros_like(x))


def _smooth_relu(xp: ModuleType, x: Array) -> Array:
    corner = (x + CORNER) ** 2 / (4 * CORNER)
    return xp.where(xp.abs(x) < CORNER, corner, _relu(xp, x))


def _smooth_relu_slope(xp: ModuleType, a: Array, x: Array) -> Array:
    return xp.clip((x + CORNER) / (2 * CORNER), 0.0, 1.0)


ACTIVATIONS = {
    "tanh": Activation("tanh", lambda xp, x: xp.tanh(x), lambda xp, a, x: 1 - a * a),
    "relu": Activation("relu", _relu, lambda xp, a, x: xp.astype(x > 0, x.dtype)),
    "smooth-relu": Activation("smooth-relu", _smooth_relu, _smooth_relu_slope),
    "identity": Activation("identity", lambda xp, x: x, lambda xp, a, x: xp.ones_like(x)),
}


def named_activation(name: str) -> Activation:
    """Return the activation of this name.

    Parameters
    ----------
    name : {"tanh", "relu", "smooth-relu", "identity"}
        ``"smooth-relu"`` is relu with its corner rounded by a parabola on ``|x| < 0.1``, so that its
        derivative is continuous (Meganet's choice).

    Returns
    -------
    Activation

    Raises
    ------
    RefmgError
        If the name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> tanh = named_activation("tanh")
    >>> [float(v) for v in tanh.with_slope(np, np.float64(0.0))]
    [0.0, 1.0]
    """
    if name not in ACTIVATIONS:
        raise RefmgError(one_of("activation", name, ACTIVATIONS))
    return ACTIVATIONS[name]
