"""The figures of the pages on transfers.

``python -m refmg_validation.transfer_figures --output docs/images``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from refmg import PowerLaw, PredictiveMap, derivatives, named_map, symbol_error
from refmg_validation.example1 import S_FINE
from refmg_validation.records import write_figure

SHAPE = (64, 64)
TRANSFERS = ("unchanged", "average", "linear", "power-law")


def draw_symbol_errors() -> Figure:
    """Draw, for the stencil of Example 1, how far ``K_H R`` is from ``R K_h`` at every frequency.

    The titles say which share of the energy of ``R K_h y`` that is over images with a power law.
    """
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    panels, images = figure.subplots(1, len(TRANSFERS), sharey=True), PredictiveMap(PowerLaw(2.0))
    for axes, name in zip(panels, TRANSFERS, strict=True):
        coarse = named_map(name).restrict(S_FINE)
        error = symbol_error(S_FINE, coarse, SHAPE)[0, 0]
        image = axes.imshow(
            np.fft.fftshift(error), extent=(-1, 1, -1, 1), origin="lower", norm=LogNorm(0.01, 10)
        )
        share = images.relative_error(S_FINE, coarse)
        axes.set_title(f"{name}: {100 * share:.0f} %")
        axes.set_xlabel(r"$\theta_2 / \pi$")
    panels[0].set_ylabel(r"$\theta_1 / \pi$")
    figure.colorbar(image, ax=list(panels), label=r"$|\hat r|\,|\hat s_H(2\theta) - \hat s_h(\theta)|$")
    return figure


def draw_eigenvectors() -> Figure:
    """Draw the derivatives that the map of five taps scales by powers of 1/2."""
    found = derivatives("linear", width=5)
    figure = Figure(figsize=(12, 2.6), layout="constrained")
    for axes, d in zip(figure.subplots(1, len(found)), found, strict=True):
        axes.stem(np.arange(-2, 3), d.stencil.astype(float))
        axes.set_title(f"order {d.order}, eigenvalue {d.eigenvalue}")
        axes.set_xlabel("tap")
        axes.axhline(0, color="black", linewidth=0.5)
    return figure


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    write_figure(output / "symbol-errors.png", draw_symbol_errors())
    write_figure(output / "eigenvectors.png", draw_eigenvectors())


if __name__ == "__main__":
    main()
