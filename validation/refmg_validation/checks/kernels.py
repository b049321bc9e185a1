"""Checks of the backend's convolutions against explicit matrices, in whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from refmg import Convolution, convolution_matrix, get_backend
from refmg_validation.checks.exact import INTEGERS, unequal
from refmg_validation.checks.finding import Finding

SHAPES = {1: (9,), 2: (6, 5), 3: (4, 3, 5)}
C_IN, C_OUT, EXAMPLES = 2, 3, 4


def kernel_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group: whole numbers are sums without rounding on any backend."""
    rng = np.random.default_rng([seed, 31])
    for (d, shape), boundary, stride in product(SHAPES.items(), ("periodic", "zero", "reflect"), (1, 2)):
        s = _whole(rng, (C_OUT, C_IN, *(3,) * d))
        yield from one_convolution(s, shape, boundary, stride, rng)


def one_convolution(
    s: NDArray[np.float64], shape: tuple[int, ...], boundary: str, stride: int, rng: np.random.Generator
) -> Iterator[Finding]:
    """Compare a convolution, its transpose and its stencil gradient with sparse matrices."""
    place = get_backend()
    K = convolution_matrix(s, shape, boundary, stride)
    convolution = Convolution(place.asarray(s), shape, boundary, stride)
    y = _whole(rng, (C_IN, *shape, EXAMPLES))
    out = (K @ y.reshape(-1, EXAMPLES)).reshape(C_OUT, -1, EXAMPLES)
    grid = tuple(-(-n // stride) for n in shape)
    z = _whole(rng, (C_OUT, *grid, EXAMPLES))
    label = f"{place.name}: {len(shape)}-D, {boundary}, stride {stride}"
    found = place.to_numpy(convolution.apply(place.asarray(y)))
    yield Finding(f"{label}: K y", unequal(found.ravel(), out.ravel()), 0.0, INTEGERS)
    found = place.to_numpy(convolution.apply_transpose(place.asarray(z)))
    back = K.T @ z.reshape(-1, EXAMPLES)
    yield Finding(f"{label}: K^T z", unequal(found.ravel(), back.ravel()), 0.0, INTEGERS)
    found = place.to_numpy(convolution.stencil_gradient(place.asarray(y), place.asarray(z)))
    expected = _gradient(s.shape, shape, boundary, stride, y, z)
    yield Finding(f"{label}: stencil gradient", unequal(found, expected), 0.0, INTEGERS)


def _whole(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return rng.integers(-9, 10, shape).astype(np.float64)


def _gradient(
    stencil: tuple[int, ...],
    shape: tuple[int, ...],
    boundary: str,
    stride: int,
    y: NDArray[np.float64],
    z: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return ``z^T K(e) y`` for every unit stencil e, by explicit matrices."""
    taps = stencil[2:]
    gradient = np.zeros((*stencil[:2], int(np.prod(taps))))
    for j, unit in enumerate(np.eye(gradient.shape[-1])):
        C = convolution_matrix(unit.reshape(taps), shape, boundary, stride)
        for o, i in np.ndindex(*stencil[:2]):
            gradient[o, i, j] = np.sum(z[o].reshape(-1, EXAMPLES) * (C @ y[i].reshape(-1, EXAMPLES)))
    return gradient.reshape(stencil)
