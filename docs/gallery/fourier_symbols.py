"""Local Fourier symbols

On a periodic grid $e^{i\\theta x}$ is an eigenvector of a convolution: its eigenvalue is the symbol
$\\hat s(\\theta)$. The symbol of $R K_h P$ at a coarse frequency $2\\theta$ is a mean of the fine symbol
at $\\theta$ and its alias $\\theta + \\pi$, weighted by R and P. Here it is drawn for the second
difference $(1, -2, 1)$, at the fine frequency where it acts.

Near $\\theta = 0$ the coarse stencil of `"linear"` follows the fine one, four times smaller for one
derivative of second order twice as far apart. Towards $\\theta = \\pi/2$, the highest frequency that a
coarse grid has, they part. `"power-law"` gives up some of the slow waves for the quicker ones. The
unchanged stencil is wrong by a factor of four at once.

The number is the largest difference between the formula over aliases and the eigenvalues of the explicit
product of matrices.
"""

import numpy as np
from matplotlib.figure import Figure

from refmg import (
    convolution_matrix,
    galerkin_symbol,
    named_map,
    prolongation_matrix,
    restriction_matrix,
    stencil_symbol,
)

MEASURES = "largest difference between the formula and the eigenvalues of R K P"
STENCIL, N = [1.0, -2.0, 1.0], 128


def compute() -> dict:
    """Return symbols at the frequencies that both grids have."""
    theta = 2 * np.pi * np.fft.fftfreq(N // 2) / 2  # of the fine grid
    R, P = restriction_matrix((N,)), prolongation_matrix((N,))
    # The eigenvalues of a circulant matrix are the discrete Fourier transform of its first column.
    eigenvalues = np.fft.fft((R @ convolution_matrix(STENCIL, (N,)) @ P).toarray()[:, 0])
    names = ("linear", "average", "power-law", "unchanged")
    stencils = {name: named_map(name, width=3, ndim=1).restrict(STENCIL) for name in names}
    symbols = {name: stencil_symbol(s, (N // 2,)).real.ravel() for name, s in stencils.items()}
    fine = stencil_symbol(STENCIL, (N,)).real.ravel()
    galerkin = galerkin_symbol(STENCIL, (N,)).ravel()
    return {
        "theta": np.fft.fftshift(theta),
        "fine": np.fft.fftshift(fine)[N // 4 : 3 * N // 4],
        "symbols": {name: np.fft.fftshift(values) for name, values in symbols.items()},
        "error": float(abs(galerkin - eigenvalues).max()),
    }


def number(found: dict) -> float:
    """Return how far the formula is from the eigenvalues."""
    return found["error"]


def draw(figure: Figure, found: dict) -> None:
    """Draw every symbol over the fine frequency."""
    figure.set_size_inches(7, 4)
    axes = figure.subplots()
    axes.plot(found["theta"] / np.pi, found["fine"], linewidth=3, label="$K_h$, fine grid")
    for (name, values), style in zip(found["symbols"].items(), ("-", "--", "-.", ":"), strict=True):
        axes.plot(found["theta"] / np.pi, values, style, label=f"coarse, {name!r}")
    axes.set_xlabel(r"$\theta / \pi$ on the fine grid")
    axes.set_ylabel("symbol of the second difference")
    axes.legend()
