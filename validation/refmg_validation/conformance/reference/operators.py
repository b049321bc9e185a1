"""Convolutions, R and P as explicit sparse matrices."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from refmg import coarse_operator, convolution_matrix, prolongation_matrix, restriction_matrix
from refmg.galerkin import on_channels, read_stencil
from refmg_validation.conformance.build import Floats, Shape


def convolve(features: Floats, stencil: Floats, boundary: str = "periodic", stride: int = 1) -> Floats:
    """Return ``K(s) y`` by the explicit matrix.

    Examples
    --------
    >>> convolve(np.arange(4.0).reshape(1, 4, 1), np.array([[[0.0, 0.0, 1.0]]])).ravel()
    array([1., 2., 3., 0.])
    """
    shape = features.shape[1:-1]
    K = convolution_matrix(stencil, shape, boundary, stride)
    out = tuple(-(-n // stride) for n in shape)
    return _times(K, features, (stencil.shape[0], *out))


def convolve_transpose(
    features: Floats, stencil: Floats, shape: Shape, boundary: str = "periodic", stride: int = 1
) -> Floats:
    """Return ``K(s)^T z`` by the explicit matrix."""
    K = convolution_matrix(stencil, shape, boundary, stride)
    return _times(K.T, features, (stencil.shape[1], *shape))


def stencil_gradient(features: Floats, cotangent: Floats, width: Shape, boundary: str, stride: int) -> Floats:
    """Return the gradient of ``<K(s) y, z>``: tap by tap ``<K(e) y, z>``, with one tap e set to 1."""
    channels = (cotangent.shape[0], features.shape[0])
    gradient = np.zeros((*channels, *width))
    for index in product(*(range(n) for n in gradient.shape)):
        unit = np.zeros_like(gradient)
        unit[index] = 1.0
        gradient[index] = np.sum(convolve(features, unit, boundary, stride) * cotangent)
    return gradient


def restrict(features: Floats, transfer: str, factor: int, boundary: str = "periodic") -> Floats:
    """Return ``R y``."""
    shape = features.shape[1:-1]
    R = on_channels(restriction_matrix(shape, transfer, factor, boundary), features.shape[0])
    return _times(R, features, (features.shape[0], *(n // factor for n in shape)))


def prolong(features: Floats, transfer: str, factor: int, boundary: str = "periodic") -> Floats:
    """Return ``P y``."""
    fine = tuple(n * factor for n in features.shape[1:-1])
    P = on_channels(prolongation_matrix(fine, transfer, factor, boundary), features.shape[0])
    return _times(P, features, (features.shape[0], *fine))


def stencil_map(width: Shape, transfer: str, factor: int) -> Floats:
    """Return the matrix from fine to coarse taps: its columns are read off ``R K(e) P``.

    Examples
    --------
    >>> stencil_map((3,), "linear", 2)
    array([[0.5  , 0.125, 0.   ],
           [0.5  , 0.75 , 0.5  ],
           [0.   , 0.125, 0.5  ]])
    """
    coarse = tuple(k + 2 for k in width)  # wide enough that no neighbour is met from both sides
    fine = tuple(n * factor for n in coarse)
    columns = []
    for unit in np.eye(prod(width)):
        A = coarse_operator(unit.reshape(width), fine, transfer, factor)
        columns.append(read_stencil(A, coarse, (1, 1), width).ravel())
    return np.stack(columns, axis=1)


def on_taps(matrix: Floats, stencil: Floats) -> Floats:
    """Return the stencil with a matrix applied to the taps of each pair of channels."""
    taps = stencil.reshape(*stencil.shape[:2], -1)
    return np.asarray(taps @ matrix.T).reshape(stencil.shape)


def restrict_stencil(stencil: Floats, transfer: str, factor: int) -> Floats:
    """Return the taps in one row of ``R K(s) P``."""
    width = stencil.shape[2:]
    coarse = tuple(k + 2 for k in width)
    fine = tuple(n * factor for n in coarse)
    A = coarse_operator(stencil, fine, transfer, factor)
    return read_stencil(A, coarse, stencil.shape[:2], width)


def prolong_stencil(stencil: Floats, transfer: str, factor: int) -> Floats:
    """Return the solution of the dense system of the taps (paper, equation 9)."""
    inverse = np.linalg.inv(stencil_map(stencil.shape[2:], transfer, factor))
    return on_taps(inverse.astype(np.float64), stencil)


def _times(A: Any, features: Floats, shape: Shape) -> Floats:
    return np.asarray(A @ features.reshape(A.shape[1], -1)).reshape(*shape, features.shape[-1])
