"""The longest stable steps of the integrators for given eigenvalues."""

from __future__ import annotations

import numpy as np

from refmg.symbol import Spectrum


def euler_limit(eigenvalues: Spectrum) -> float:
    r"""Return the longest dt with :math:`|1 + dt \lambda| \le 1` for all eigenvalues.

    It is the least :math:`-2 \mathrm{Re} \lambda / |\lambda|^2`; 0 if some eigenvalue has no negative
    real part, infinite if all are zero.

    Examples
    --------
    >>> euler_limit(np.array([-4.0, -1.0 + 1.0j])), euler_limit(np.array([1.0j]))
    (0.5, 0.0)
    """
    z = _rates(eigenvalues)
    return abs(float(np.maximum(0.0, -2 * z.real / np.abs(z) ** 2).min())) if z.size else float("inf")


def rk4_limit(eigenvalues: Spectrum) -> float:
    """Return the longest dt that keeps every ``dt lambda`` in the stability region of RK4.

    By bisection along each ray from 0, to 1e-12 of the region's size; 0 for a growing eigenvalue.

    Examples
    --------
    >>> print(f"{rk4_limit(np.array([-1.0])):.4f} {rk4_limit(np.array([1.0j])):.4f}")
    2.7853 2.8284
    """
    z = _rates(eigenvalues)
    if not z.size:
        return float("inf")
    ray = z / np.abs(z)
    # The region's boundary is within 3 of 0; march outwards until the ray leaves it, then bisect.
    grid = np.linspace(0, 3.5, 1401)[1:]
    inside = np.abs(_rk4(ray[:, None] * grid)) <= 1 + 1e-12
    first_out = np.where(inside.all(axis=1), grid.size, np.argmin(inside, axis=1))
    low = np.where(first_out > 0, grid[np.maximum(first_out, 1) - 1], 0.0)
    high = grid[np.minimum(first_out, grid.size - 1)]
    for _ in range(40):
        middle = (low + high) / 2
        good = np.abs(_rk4(ray * middle)) <= 1 + 1e-12
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    growing = z.real > 1e-12 * np.abs(z)
    return float(np.where(growing, 0.0, low / np.abs(z)).min())


def oscillator_limit(jacobian: Spectrum, integrator: str) -> float:
    r"""Return the longest stable step of leapfrog (:math:`\ddot y = J y`) or Verlet.

    Both are stable for oscillations with :math:`dt\,\omega \le 2`: leapfrog has
    :math:`\omega = \sqrt{-\lambda}`, Verlet :math:`\omega = |\lambda|` for imaginary eigenvalues.
    Growing modes have limit 0.

    Examples
    --------
    >>> oscillator_limit(np.array([-4.0]), "leapfrog"), oscillator_limit(np.array([4.0j]), "verlet")
    (1.0, 0.5)
    """
    z = _rates(jacobian)
    if not z.size:
        return float("inf")
    rates = np.sqrt(z) if integrator == "leapfrog" else z
    decaying = np.abs(rates.real) <= 1e-6 * np.abs(rates)
    return float(np.where(decaying, 2 / np.abs(rates), 0.0).min())


def _rates(eigenvalues: Spectrum) -> Spectrum:
    # What is zero up to rounding neither grows nor decays.
    z = np.asarray(eigenvalues, dtype=complex).ravel()
    size = np.abs(z).max(initial=0.0)
    return z[np.abs(z) > 1e-12 * size] if size else z[:0]


def _rk4(z: Spectrum) -> Spectrum:
    return 1 + z * (1 + z / 2 * (1 + z / 3 * (1 + z / 4)))
