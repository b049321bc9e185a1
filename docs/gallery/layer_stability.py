"""Stability of layers

Forward Euler with step $\\delta t$ (equation 3) is stable where $|1 + \\delta t\\,\\lambda| \\le 1$ for
the eigenvalues $\\lambda$ of a layer's Jacobian. For a residual layer with a random stencil about half
of them lie in the right half plane: those modes grow at any step. The symmetric layer
$-K^T \\sigma(K y + b)$ has real eigenvalues below 0, so that there is a longest stable step; the
eigenvalues of a Hamiltonian layer are imaginary, where Euler is never stable and Verlet is, up to a
step. `refmg.stability` finds the spectra by the symbol of K and gives these steps.

Same random stencils, four layers, $\\delta t = 1/2$, the steepest activation. The number is the longest
stable step of Euler for the first symmetric layer.
"""

import numpy as np
from matplotlib.figure import Figure

from refmg import Architecture, random_network, stability

MEASURES = "longest stable step of Euler for the first symmetric layer"
KINDS = (("residual", "euler"), ("symmetric", "euler"), ("hamiltonian", "verlet"))


def compute() -> dict:
    """Return what `refmg.stability` says of three kinds of layers."""
    reports = {}
    for layer, integrator in KINDS:
        a = Architecture((16, 16), channels=2, layers=4, final_time=2.0, layer=layer, integrator=integrator)
        network = random_network(a, 0, "numpy", "float64")
        controls = network.controls.map(lambda x: 0.5 * np.random.default_rng(7).normal(size=x.shape))
        reports[layer] = stability(network.with_controls(controls), warn=False)
    return reports


def number(found: dict) -> float:
    """Return Euler's limit for the first symmetric layer."""
    return float(found["symmetric"].layers[0].euler)


def draw(figure: Figure, found: dict) -> None:
    """Draw dt times the eigenvalues, and where Euler is stable."""
    figure.set_size_inches(10, 3.8)
    circle = -1 + np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    for axes, (kind, report) in zip(figure.subplots(1, 3), found.items(), strict=True):
        for layer in report.layers:
            z = layer.dt * layer.jacobian
            axes.plot(z.real, z.imag, ".", markersize=3)
        axes.plot(circle.real, circle.imag, color="gray", linewidth=1.5)
        limit = report.limit(report.layers[0])
        axes.set_title(f"{kind}, {report.integrator}\nlongest step {limit:.3g}", fontsize="medium")
        axes.set_xlabel(r"Re $\delta t\,\lambda$")
        axes.set_aspect("equal", adjustable="datalim")
        axes.axvline(0, color="gray", linewidth=0.5)
    figure.axes[0].set_ylabel(r"Im $\delta t\,\lambda$")
