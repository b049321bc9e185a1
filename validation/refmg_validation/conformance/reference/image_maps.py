"""Data-adapted maps of stencils: least squares over images, by explicit matrices."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from refmg import convolution_matrix, restriction_matrix
from refmg_validation.conformance.build import Floats, Shape
from refmg_validation.conformance.reference.operators import convolve, restrict


def _seen(fine: Shape, width: Shape, factor: int) -> tuple[Floats, Floats]:
    """Return what each tap of a fine and of a coarse stencil reads of a fine image, at coarse cell 0.

    Rows of ``R K(e_j)`` and of ``K(e_J) R``, shape ``(n_K, N)`` each.
    """
    R = restriction_matrix(fine, "linear", factor)
    coarse = tuple(n // factor for n in fine)
    units = np.eye(prod(width)).reshape(-1, *width)
    first = np.zeros(R.shape[0])
    first[0] = 1.0
    phi = [convolution_matrix(unit, fine).T @ (R.T @ first) for unit in units]
    psi = [R.T @ (convolution_matrix(unit, coarse).T @ first) for unit in units]
    return np.stack(phi), np.stack(psi)


def power_law_map(width: Shape, exponent: float, factor: int, down: bool) -> Floats:
    """Return the matrix between taps that predicts best over images with power ``|f|^-exponent``.

    Constants have infinite power, so that the sum of the taps is kept: a constraint, with its multiplier.
    """
    fine = (32 * factor,) * len(width)
    f = np.sqrt(sum(np.meshgrid(*(np.fft.fftfreq(n) ** 2 for n in fine), indexing="ij")))
    power = np.zeros(fine)
    power[f > 0] = f[f > 0] ** -exponent
    phi, psi = _seen(fine, width, factor)

    def coloured(rows: Floats) -> Floats:
        axes = tuple(range(1, len(fine) + 1))
        grid = np.fft.fftn(rows.reshape(-1, *fine), axes=axes) * power
        return np.asarray(np.fft.ifftn(grid, axes=axes).real.reshape(rows.shape))

    own, other = (psi, phi) if down else (phi, psi)
    n = len(own)
    system = np.block([[own @ coloured(own).T, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    right = np.vstack([own @ coloured(other).T, np.ones((1, n))])
    return np.linalg.solve(system, right)[:n]


def spectrum_map(images: Floats, width: Shape, factor: int, down: bool) -> Floats:
    """Return the matrix between taps that is the least-squares solution over all shifts of all images."""
    fine = images.shape[1:-1]
    phi, psi = _seen(fine, width, factor)
    shifted = [
        np.roll(images, shift, axis=tuple(range(1, 1 + len(fine))))
        for shift in product(*(range(n) for n in fine))
    ]
    columns = np.concatenate([np.moveaxis(s, 0, -1).reshape(prod(fine), -1) for s in shifted], axis=1)
    own, other = (psi, phi) if down else (phi, psi)
    return np.linalg.lstsq((own @ columns).T, (other @ columns).T, rcond=None)[0]


def calibrated(
    stencil: Floats, fine_features: Floats, coarse_features: Floats, ridge: float, boundary: str
) -> Floats:
    """Return the stencil of least squares, with the rows of the ridge under those of the features."""
    factor = fine_features.shape[1] // coarse_features.shape[1]
    goal = restrict(convolve(fine_features, stencil, boundary), "linear", factor)
    columns = []
    for index in product(*(range(n) for n in stencil.shape[1:])):
        unit = np.zeros((1, *stencil.shape[1:]))
        unit[(0, *index)] = 1.0
        columns.append(convolve(coarse_features, unit, boundary).ravel())
    A = np.stack(columns, axis=1)
    weight = ridge * np.mean(np.sum(A * A, axis=0))
    rows: Any = np.vstack([A, np.sqrt(weight) * np.eye(A.shape[1])])
    new = []
    for target, prior in zip(goal, stencil, strict=True):
        right = np.concatenate([target.ravel(), np.sqrt(weight) * prior.ravel()])
        new.append(np.linalg.lstsq(rows, right, rcond=None)[0].reshape(prior.shape))
    return np.stack(new)
