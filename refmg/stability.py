"""Stability of a trained network: the spectrum of each layer against the steps that it allows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import eigs

from refmg.convolution import Convolution
from refmg.dynamics import HamiltonianLayer, SymmetricLayer
from refmg.network import Network
from refmg.propagation import Propagation
from refmg_backends import RefmgError, get_backend

Spectrum = NDArray[np.complex128]


class StabilityWarning(UserWarning):
    """A step is longer than the linearised layer allows."""


def symbol(K: Convolution) -> Spectrum:
    r"""Return the symbol :math:`\hat K(\omega) = \sum_j S_j e^{i \omega \cdot j}` at every frequency of the grid.

    Parameters
    ----------
    K : Convolution
        With periodic boundary and stride 1: there its matrix is block diagonal in the Fourier basis.

    Returns
    -------
    ndarray of complex128, shape (N, C_out, C_in)

    Raises
    ------
    RefmgError
        If the boundary is not periodic or the stride not 1.

    Examples
    --------
    >>> second_difference = Convolution([1.0, -2.0, 1.0], (4,), backend="numpy")
    >>> symbol(second_difference).real.ravel()
    array([ 0., -2., -4., -2.])
    """
    g = K.geometry
    if g.boundary != "periodic" or set(g.stride) != {1}:
        raise RefmgError(
            f"found a convolution with boundary {g.boundary!r} and stride {g.stride}; expected a periodic "
            "one with stride 1: others have no symbol, take the eigenvalues of the explicit matrix"
        )
    axes = [2j * np.pi * np.arange(n) / n for n in g.shape]
    frequencies = np.stack([w.ravel() for w in np.meshgrid(*axes, indexing="ij")], axis=-1)
    offsets = np.array([[t - k // 2 for t, k in zip(tap, g.width, strict=True)] for tap in _taps(g.width)])
    s = K.backend.to_numpy(K.stencil).reshape(K.c_out, K.c_in, -1)
    return np.einsum("oij,wj->woi", s, np.exp(frequencies @ offsets.T))


def _taps(width: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(product(*(range(k) for k in width)))


def spectrum(K: Convolution) -> Spectrum:
    """Return all eigenvalues of a convolution from C to C channels, by its symbol.

    Returns
    -------
    ndarray of complex128, shape (N * C,)
    """
    return np.linalg.eigvals(symbol(K)).ravel()


def largest_eigenvalue(K: Convolution) -> complex:
    """Return the eigenvalue of largest modulus of the explicit matrix: the check of the symbol.

    By ARPACK, for any boundary; small matrices by a dense solver, which ARPACK cannot take.
    """
    matrix = K.matrix().astype(float)
    if matrix.shape[0] < 16:
        found = np.linalg.eigvals(matrix.toarray())
    else:
        start = np.random.default_rng(0).normal(size=matrix.shape[0])
        found = eigs(matrix, k=1, which="LM", v0=start, return_eigenvectors=False)
    return complex(found[np.argmax(np.abs(found))])


@dataclass(frozen=True)
class LayerStability:
    """One layer of a network: its spectrum and its step limits.

    Attributes
    ----------
    control : int
        Number of the control node.
    operator : ndarray of complex128
        Eigenvalues of K (of both K's of a Hamiltonian pair).
    jacobian : ndarray of complex128
        Eigenvalues of the Jacobian of F where the activation's derivative is 1, its largest value.
    dt : float
        The network's step.
    euler, rk4 : float
        The longest stable step of forward Euler and of RK4 for this Jacobian.
    """

    control: int
    operator: Spectrum
    jacobian: Spectrum
    dt: float
    euler: float
    rk4: float


@dataclass(frozen=True)
class StabilityReport:
    """What :func:`stability` found; prints as a table."""

    layers: list[LayerStability]
    integrator: str

    @property
    def unstable(self) -> list[LayerStability]:
        """Layers whose step is beyond the limit of the network's own integrator."""
        return [layer for layer in self.layers if layer.dt > self._limit(layer)]

    def _limit(self, layer: LayerStability) -> float:
        if self.integrator in ("euler", "rk4"):
            return layer.euler if self.integrator == "euler" else layer.rk4
        return oscillator_limit(layer.jacobian, self.integrator)

    def __str__(self) -> str:
        lines = ["control     |K|  max Re J  max |J|       dt  Euler limit  RK4 limit"]
        for x in self.layers:
            size, growth, rate = np.abs(x.operator).max(), x.jacobian.real.max(), np.abs(x.jacobian).max()
            lines.append(
                f"{x.control:7d} {size:7.3f} {growth:9.3f} {rate:8.3f} {x.dt:8.4f} {x.euler:12.4f} {x.rk4:10.4f}"
            )
        return "\n".join(
            [*lines, f"{len(self.unstable)} of {len(self.layers)} beyond {self.integrator}'s limit"]
        )


def stability(network: Network, warn: bool = True) -> StabilityReport:
    r"""Return the spectrum of every layer and the steps it allows.

    Parameters
    ----------
    network : Network
        With periodic boundary.
    warn : bool
        Whether to warn of a step beyond the limit of the network's integrator.

    Returns
    -------
    StabilityReport

    Warns
    -----
    StabilityWarning
        With the step, the limit and the control node.

    Raises
    ------
    RefmgError
        If the boundary is not periodic: then there is no symbol.

    Notes
    -----
    The Jacobian of F is :math:`D K` (residual), :math:`-K^T D K` (symmetric) or
    :math:`\begin{pmatrix}0 & K_1^T D_1 K_1\\ -K_2^T D_2 K_2 & 0\end{pmatrix}` (Hamiltonian) with
    :math:`D = \mathrm{diag}(\sigma') \le 1`; the report takes D = I, the steepest activation. An
    eigenvalue :math:`\lambda` is stable under forward Euler if :math:`|1 + dt \lambda| \le 1`: for the
    residual layer that fails at any step if K has an eigenvalue in the right half plane, and the limit
    is 0. For RK4 the polynomial is :math:`1 + z + z^2/2 + z^3/6 + z^4/24`. Frozen coefficients: a
    diagnosis, not a proof. Haber and Ruthotto (2017), section 2.

    Examples
    --------
    >>> from refmg import Architecture, random_network
    >>> a = Architecture((8,), channels=1, layers=1, layer="symmetric")
    >>> network = random_network(a, 0, "numpy", "float64")
    >>> taps = np.array([0.0, -1.0, 1.0]).reshape(1, 1, 1, 3)
    >>> from dataclasses import replace
    >>> network = network.with_controls(replace(network.controls, stencils=taps))
    >>> print(stability(network, warn=False))
    control     |K|  max Re J  max |J|       dt  Euler limit  RK4 limit
          0   2.000     0.000    4.000   1.0000       0.5000     0.6963
    1 of 1 beyond euler's limit
    """
    p = network.propagation
    report = StabilityReport(
        [_layer(p, j) for j in range(network.architecture.control_grid.nodes)], p.integrator.name
    )
    for layer in report.unstable if warn else []:
        limit = report._limit(layer)
        warnings.warn(
            f"control {layer.control}: the step dt = {layer.dt:.4g} is beyond {report.integrator}'s limit "
            f"{limit:.4g}; take more layers, or smaller stencils",
            StabilityWarning,
            stacklevel=2,
        )
    return report


def _layer(p: Propagation, j: int) -> LayerStability:
    layer, dt = p._layer(((j, 1),)), p.architecture.dt  # type: ignore[arg-type]
    operators, jacobian = _spectra(layer)
    return LayerStability(j, operators, jacobian, dt, euler_limit(jacobian), rk4_limit(jacobian))


def _spectra(layer: object) -> tuple[Spectrum, Spectrum]:
    if isinstance(layer, HamiltonianLayer):
        upper, lower = (symbol(part.convolution) for part in (layer.upper, layer.lower))
        both = _gram(upper) @ -_gram(lower)
        # The eigenvalues of [[0, A], [B, 0]] are the square roots of those of A B, with both signs.
        roots = np.sqrt(np.linalg.eigvals(both).ravel().astype(complex))
        operators = np.concatenate([spectrum(part.convolution) for part in (layer.upper, layer.lower)])
        return operators, np.concatenate([roots, -roots])
    found = spectrum(layer.convolution)  # type: ignore[attr-defined]
    if isinstance(layer, SymmetricLayer):
        return found, -np.linalg.eigvalsh(_gram(symbol(layer.convolution))).ravel().astype(complex)
    return found, found


def _gram(hat: Spectrum) -> Spectrum:
    return np.conj(np.swapaxes(hat, -1, -2)) @ hat


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
    return float(np.maximum(0.0, -2 * z.real / np.abs(z) ** 2).min()) if z.size else float("inf")


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
    low, ray = np.zeros(z.size), z / np.abs(z)
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


def layers_checked(network: Network) -> list[tuple[float, float]]:
    """Return for each control the largest ``|lambda|`` of K by symbol and by the explicit matrix."""
    controls = network.controls.map(network.backend.to_numpy)
    p = Propagation(network.architecture, controls, get_backend("numpy"))
    found = []
    for j in range(prod(controls.stencils.shape[:1])):
        layer = p._layer(((j, 1),))  # type: ignore[arg-type]
        parts = (layer.upper, layer.lower) if isinstance(layer, HamiltonianLayer) else (layer,)
        for part in parts:
            K = part.convolution  # type: ignore[attr-defined]
            found.append((float(np.abs(spectrum(K)).max()), abs(largest_eigenvalue(K))))
    return found
