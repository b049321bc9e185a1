"""Checks of the maps that know images, and of symbols, against explicit matrices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from refmg import (
    BestProlongation,
    JointMap,
    PowerLaw,
    PredictiveMap,
    Spectrum,
    StencilMap,
    coarse_operator,
    convolution_matrix,
    galerkin_symbol,
    prolongation_matrix,
    restriction_matrix,
)
from refmg.calibration import StencilFit, tap_operators
from refmg_validation.checks.finding import Finding

EPS = float(np.finfo(float).eps)
FINE, COARSE = (12, 10), (6, 5)


def image_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    law = PowerLaw(2.0, constant=1.0)
    M = PredictiveMap(Spectrum(law.power(FINE)))
    condition = max(M.condition_numbers)
    bound = 120 * EPS * condition
    yield Finding(
        "power-law: both maps are least squares over explicit images",
        _least_squares(M),
        bound,
        "N eps cond",
    )
    white = PredictiveMap(PowerLaw(0.0, constant=1.0)).restriction
    error = float(np.abs(white - StencilMap(transfer="average").matrix).max())
    yield Finding("white noise restricts as 'average' does", error, 64 * EPS, "64 eps")
    P = BestProlongation(law, FINE, (2, 2)).matrix()
    error = float(np.abs(restriction_matrix(FINE) @ P - np.eye(30)).max())
    yield Finding("R P = I for the best prolongation", error, 120 * EPS, "N eps")
    joint = JointMap(PowerLaw(2.0))
    error = float(np.abs(joint.prolongation @ joint.restriction - np.eye(9)).max())
    yield Finding(
        "power-law-joint: up after down", error, 81 * EPS * max(joint.condition_numbers), "81 eps cond"
    )
    yield _calibrated(seed)
    yield Finding("symbol of R K P against the explicit product", _symbol_error(seed), 120 * EPS, "N eps")


def _least_squares(M: PredictiveMap) -> float:
    """Return the largest difference of both maps from solutions by QR, over all images that C has."""
    axes = [np.fft.ifft(np.eye(n), norm="ortho") for n in FINE]
    F = np.kron(*axes)
    images = (F * np.sqrt(M.covariance.power(FINE)).ravel()) @ F.conj().T
    R = restriction_matrix(FINE)
    units = np.eye(9).reshape(9, 3, 3)
    phi = np.array([((R @ convolution_matrix(s, FINE)) @ images.real)[0] for s in units])
    psi = np.array([(convolution_matrix(s, COARSE) @ (R @ images.real))[0] for s in units])
    down, up = np.linalg.lstsq(psi.T, phi.T)[0], np.linalg.lstsq(phi.T, psi.T)[0]
    return float(max(np.abs(down - M.restriction).max(), np.abs(up - M.prolongation).max()))


def _symbol_error(seed: int) -> float:
    s = np.random.default_rng([seed, 13]).normal(size=(3, 3))
    waves = np.kron(*(np.fft.ifft(np.eye(n)) * n for n in COARSE))
    product = coarse_operator(s, FINE) @ waves
    return float(np.abs(product - waves * galerkin_symbol(s, FINE).ravel()).max())


def _calibrated(seed: int) -> Finding:
    """Calibrate on images that are constant in each coarse cell: there is nothing to know but 'average'."""
    rng = np.random.default_rng([seed, 14])
    s, coarse = rng.normal(size=(2, 2, 3, 3)), rng.normal(size=(2, 30, 4))
    P, R = prolongation_matrix(FINE, "average"), restriction_matrix(FINE)
    fine = np.stack([P @ channel for channel in coarse])
    response = convolution_matrix(s, FINE) @ fine.reshape(-1, 4)
    fit = StencilFit(tap_operators((3, 3), COARSE, "periodic"), 2, 2)
    fit.add(coarse, np.stack([R @ channel for channel in response.reshape(2, -1, 4)]))
    found, expected = fit.solve(np.zeros_like(s)), StencilMap(transfer="average").restrict(s)
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    bound = 18 * EPS * fit.condition_number
    return Finding("calibrated on piecewise constant images is 'average'", error, bound, "n eps cond")
