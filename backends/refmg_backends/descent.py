"""A step of gradient descent with momentum on many arrays, for any array-API namespace."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from types import ModuleType
from typing import Any

from refmg_backends.errors import check_shape

Array = Any


def check_momentum(parameters: Sequence[Array], gradient: Sequence[Array], velocity: Array | None) -> None:
    """Refuse gradients or a velocity of other shapes than the parameters.

    Raises
    ------
    RefmgError
        If a shape differs.
    ValueError
        If there are not as many gradients as parameters.
    """
    for p, g in zip(parameters, gradient, strict=True):
        check_shape("gradient", g.shape, p.shape)
    if velocity is not None:
        check_shape("velocity", velocity.shape, (sum(prod(p.shape) for p in parameters),))


def flat(xp: ModuleType, arrays: Sequence[Array]) -> Array:
    """Return all numbers of some arrays as one vector."""
    return xp.concat([xp.reshape(a, (-1,)) for a in arrays])


def momentum_step(
    xp: ModuleType,
    parameters: Sequence[Array],
    gradient: Sequence[Array],
    velocity: Array | None,
    rate: float,
    momentum: float,
    decay: float,
) -> tuple[list[Array], Array]:
    """Return the parameters ``p - rate v``, and ``v = momentum velocity + gradient + decay p`` as a vector.

    Examples
    --------
    >>> import numpy as np
    >>> p = [np.ones(1), np.ones((1, 2))]
    >>> moved, v = momentum_step(np, p, p, np.full(3, 2.0), rate=0.5, momentum=0.5, decay=1.0)
    >>> moved[1], v
    (array([[-0.5, -0.5]]), array([3., 3., 3.]))
    """
    check_momentum(parameters, gradient, velocity)
    vector, slope = flat(xp, parameters), flat(xp, gradient)
    # A Python number keeps the precision of the arrays.
    slope = slope + decay * vector if decay else slope
    found = slope if velocity is None else momentum * velocity + slope
    return divided(xp, vector - rate * found, parameters), found


def divided(xp: ModuleType, vector: Array, like: Sequence[Array]) -> list[Array]:
    """Return the numbers of a vector as arrays of the shapes of others."""
    first, parts = 0, []
    for array in like:
        size = prod(array.shape)
        parts.append(xp.reshape(vector[first : first + size], array.shape))
        first += size
    return parts
