"""Pooling of the ``numba`` backend: checks, memory, and a call of the compiled loop."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends.errors import check_shape
from refmg_backends.geometry import Geometry
from refmg_backends.numba_kernels import pool as loops
from refmg_backends.numba_kernels.memory import aligned_empty, whole_vectors
from refmg_backends.pooling import check_choice

Real = NDArray[Any]


@lru_cache(maxsize=16)
def _tables(geometry: Geometry) -> tuple[Real, Real, Real]:
    """Return for each output the cells of its taps; taps, and for each cell the outputs that read it."""
    taps, rows = zip(*geometry.transpose_table, strict=True)
    forward, backward = np.array(geometry.table.T, order="C"), np.array(np.stack(rows, axis=1), order="C")
    return forward, np.array(taps, np.int8), backward


def max_pool(Y: Real, geometry: Geometry, choice: bool) -> tuple[Real, Real | None]:
    """Return the maxima over windows and, on request, which tap has each, in one pass."""
    check_shape("features", Y.shape, (Y.shape[0], geometry.cells, Y.shape[-1]))
    shape = Y.shape[0], geometry.out_cells, Y.shape[-1]
    best = aligned_empty(shape, Y.dtype)
    taps = aligned_empty(shape if choice else (0, 0, 0), np.int8)
    loops.largest(whole_vectors(Y, Y.dtype, 1), _tables(geometry)[0], best, taps, choice)
    return best, taps if choice else None


def max_pool_adjoint(choice: Real, P: Real, geometry: Geometry) -> Real:
    """Return the cotangent of the features, in one pass."""
    check_choice(choice, P, geometry)
    back = aligned_empty((P.shape[0], geometry.cells, P.shape[-1]), P.dtype)
    _, taps, outputs = _tables(geometry)
    P, choice = (whole_vectors(a, a.dtype, 1) for a in (P, choice))
    loops.largest_adjoint(choice, P, taps, outputs, back)
    return back
