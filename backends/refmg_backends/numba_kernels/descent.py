"""A step of gradient descent with momentum: one pass over memory."""

from __future__ import annotations

from numba import njit, prange

BLOCKS = 16


@njit(parallel=True, cache=True, nogil=True)
def momentum_step(p, g, v, use_v, rate, momentum, decay, moved, velocity):
    """Write ``momentum v + (g + decay p)`` and ``p - rate`` times it; without `use_v` v counts as zero."""
    for j in prange(BLOCKS):
        for i in range(j * p.size // BLOCKS, (j + 1) * p.size // BLOCKS):
            slope = g[i] + decay * p[i]
            if use_v:
                slope = momentum * v[i] + slope
            velocity[i] = slope
            moved[i] = p[i] - rate * slope
