"""Gradient descent of the ``numba`` backend: memory, and a call of the compiled loop for each array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends.descent import check_momentum, divided
from refmg_backends.numba_kernels import descent as loops
from refmg_backends.numba_kernels.memory import aligned_empty, whole_vectors

Real = NDArray[Any]
# Numbers in all from which on one pass over memory outweighs a call for each array.
MANY = 1 << 18


def momentum_step(
    parameters: Sequence[Real],
    gradient: Sequence[Real],
    velocity: Real | None,
    rate: float,
    momentum: float,
    decay: float,
) -> tuple[list[Real], Real]:
    """Return ``p - rate v`` and ``v = momentum velocity + gradient + decay p``, in one pass."""
    check_momentum(parameters, gradient, velocity)
    kind, size = parameters[0].dtype.type, sum(p.size for p in parameters)
    moved, found = (aligned_empty((size,), kind) for _ in range(2))
    before = found if velocity is None else whole_vectors(velocity, kind, 1)
    (r, beta, d), first = (kind(x) for x in (rate, momentum, decay)), 0
    for p, g in zip(parameters, gradient, strict=True):
        part = slice(first, first + p.size)
        p, g = (whole_vectors(a, kind, 1).reshape(-1) for a in (p, g))
        loops.momentum_step(p, g, before[part], velocity is not None, r, beta, d, moved[part], found[part])
        first = part.stop
    return divided(np, moved, parameters), found
