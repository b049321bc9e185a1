"""Stability of a trained network: the spectrum of each layer against the steps that it allows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from refmg.dynamics import HamiltonianLayer, SymmetricLayer
from refmg.network import Network
from refmg.propagation import Propagation
from refmg.step_limits import euler_limit, oscillator_limit, rk4_limit
from refmg.symbol import Spectrum, largest_eigenvalue, spectrum, symbol
from refmg_backends import get_backend


class StabilityWarning(UserWarning):
    """A step is longer than the linearised layer allows."""


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
        return [layer for layer in self.layers if layer.dt > self.limit(layer)]

    def limit(self, layer: LayerStability) -> float:
        """Return the longest stable step of the network's own integrator."""
        if self.integrator in ("euler", "rk4"):
            return layer.euler if self.integrator == "euler" else layer.rk4
        return oscillator_limit(layer.jacobian, self.integrator)

    def __str__(self) -> str:
        lines = ["control     |K|  max Re J  max |J|       dt  Euler limit  RK4 limit"]
        for x in self.layers:
            size, growth, rate = np.abs(x.operator).max(), x.jacobian.real.max(), np.abs(x.jacobian).max()
            spectra = f"{x.control:7d} {size:7.3f} {0.0 + growth:9.3f} {rate:8.3f}"
            lines.append(f"{spectra} {x.dt:8.4f} {x.euler:12.4f} {x.rk4:10.4f}")
        count = f"{len(self.unstable)} of {len(self.layers)}"
        return "\n".join([*lines, f"{count} beyond {self.integrator}'s limit"])


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
        limit = report.limit(layer)
        warnings.warn(
            f"control {layer.control}: the step dt = {layer.dt:.4g} is beyond {report.integrator}'s limit "
            f"{limit:.4g}; take more layers, or smaller stencils",
            StabilityWarning,
            stacklevel=2,
        )
    return report


def _layer(p: Propagation, j: int) -> LayerStability:
    layer, dt = p.layer_at(((j, Fraction(1)),)), p.architecture.dt
    operators, jacobian = _spectra(layer)
    return LayerStability(j, operators, jacobian, dt, euler_limit(jacobian), rk4_limit(jacobian))


def _spectra(layer: Any) -> tuple[Spectrum, Spectrum]:
    if isinstance(layer, HamiltonianLayer):
        upper, lower = (symbol(part.convolution) for part in (layer.upper, layer.lower))
        # J = [[0, K_1^T K_1], [-K_2^T K_2, 0]] has the eigenvalues +-i times the singular values of
        # K_1 K_2^T: so written they are imaginary to the last bit.
        rates = 1j * np.linalg.svd(upper @ np.conj(np.swapaxes(lower, -1, -2)), compute_uv=False).ravel()
        operators = np.concatenate([spectrum(part.convolution) for part in (layer.upper, layer.lower)])
        return operators, np.concatenate([rates, -rates])
    found = spectrum(layer.convolution)
    if isinstance(layer, SymmetricLayer):
        singular = np.linalg.svd(symbol(layer.convolution), compute_uv=False)
        return found, -(singular.ravel() ** 2).astype(complex)
    return found, found


def symbols_checked(network: Network) -> list[tuple[float, float]]:
    """Return for each control the largest ``|lambda|`` of K by symbol and by the explicit matrix."""
    controls = network.controls.map(network.backend.to_numpy)
    p = Propagation(network.architecture, controls, get_backend("numpy"))
    found = []
    for j in range(controls.stencils.shape[0]):
        layer = p.layer_at(((j, Fraction(1)),))
        parts: list[Any] = [layer]
        if isinstance(layer, HamiltonianLayer):
            parts = [layer.upper, layer.lower]
        for part in parts:
            K = part.convolution
            found.append((float(np.abs(spectrum(K)).max()), abs(largest_eigenvalue(K))))
    return found
