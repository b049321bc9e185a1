"""The figures of the page on optimal control.

``python -m refmg_validation.control_figures --output docs/images``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from refmg import Architecture, Network, constraint_jacobian, random_network, stability
from refmg_validation.figures import draw_sparsity, draw_stability
from refmg_validation.records import write_figure


def example(layer: str, integrator: str, shape: tuple[int, ...], channels: int, scale: float) -> Network:
    """Return a random network of four steps with stencils of a given size."""
    rng = np.random.default_rng(3)
    architecture = Architecture(
        shape, channels=channels, layers=4, final_time=2.0, layer=layer, integrator=integrator, classes=2
    )
    network = random_network(architecture, 0, "numpy", "float64")
    return network.with_controls(network.controls.map(lambda a: scale * rng.normal(size=a.shape)))


def main() -> None:
    """Draw the constraints of Euler and Verlet, and the spectra of two kinds of layers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    for layer, integrator in (("residual", "euler"), ("hamiltonian", "verlet")):
        network = example(layer, integrator, (4, 4), 2, 1.0)
        x = np.random.default_rng(4).normal(size=(1, 4, 4, 1))
        figure = draw_sparsity(constraint_jacobian(network, x), f"{layer} layer, {integrator}")
        write_figure(output / f"sparsity-{integrator}.png", figure)
    for layer in ("residual", "symmetric"):
        report = stability(example(layer, "euler", (16, 16), 2, 0.3), warn=False)
        write_figure(output / f"stability-{layer}.png", draw_stability(report))
        print(layer, report, sep="\n")


if __name__ == "__main__":
    main()
