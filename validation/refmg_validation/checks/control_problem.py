"""Small random problems on which sensitivities are checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from refmg import Architecture, Batches, Classifier, Controls, Network, get_backend, random_network
from refmg.dynamics import LAYERS
from refmg.integrators import INTEGRATORS
from refmg.propagation import Propagation
from refmg.time_grid import ControlGrid

EPS = float(np.finfo(float).eps)
PAIRS = [
    (layer, integrator)
    for layer, integrator in product(LAYERS, INTEGRATORS)
    if integrator != "verlet" or layer == "hamiltonian"
]


@dataclass(frozen=True)
class ControlProblem:
    """A random network, images, labels and a direction, in float64 on the host.

    Parameters
    ----------
    layer, integrator : str
        As in :class:`refmg.Architecture`.
    control_nodes : int
        3 by default, for 4 steps: the grids differ.
    """

    layer: str
    integrator: str
    control_nodes: int = 3
    steps: int = 4
    activation: str = "tanh"
    seed: int = 20171107

    @cached_property
    def architecture(self) -> Architecture:
        """Two channels on a grid of 4 x 3 cells."""
        return Architecture(
            (4, 3),
            channels=2,
            layers=self.steps,
            final_time=1.0,
            activation=self.activation,
            classes=3,
            layer=self.layer,
            integrator=self.integrator,
            control_nodes=self.control_nodes,
        )

    @cached_property
    def network(self) -> Network:
        """With stencils, biases and weights of size 1."""
        rng, start = (
            np.random.default_rng(self.seed),
            random_network(self.architecture, 0, "numpy", "float64"),
        )
        controls = start.controls.map(lambda a: 0.5 * rng.normal(size=a.shape))
        W, mu = start.classifier.W, start.classifier.mu
        classifier = Classifier(rng.normal(size=W.shape), rng.normal(size=mu.shape))
        return replace(start, controls=controls, classifier=classifier)

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """Three images."""
        return np.random.default_rng(self.seed + 1).normal(size=(1, 4, 3, 3))

    @cached_property
    def batches(self) -> Batches:
        """The images as one batch, each of another class."""
        return Batches(self.x, np.arange(3), 3, 3, self.network.backend, "float64")

    @cached_property
    def direction(self) -> Controls:
        """A random direction of the controls."""
        rng = np.random.default_rng(self.seed + 2)
        return self.network.controls.map(lambda a: rng.normal(size=a.shape))

    @property
    def bound(self) -> float:
        """What rounding explains of the relative difference of two ways through all steps.

        Each step sums C k^d = 18 products per entry, up to four stages of it, twice in symmetric
        layers; errors of earlier steps are carried along by Jacobians of norm below 2. That makes
        ``8 N C k^d eps`` a side, and we allow ``64 N C k^d eps``, for N = 4 about 1.0e-12.
        """
        return 64 * self.steps * 18 * EPS

    def solve(self, steps: int) -> NDArray[np.float64]:
        """Return the final features with so many steps and the same controls."""
        architecture = replace(self.architecture, layers=steps)
        return Propagation(architecture, self.network.controls, get_backend("numpy")).apply(self.x)

    def exact(self) -> NDArray[np.float64]:
        """Return the final features of the differential equation, by SciPy's DOP853 to 1e-13."""
        p = self.network.propagation
        grid, T, start = (
            ControlGrid(self.control_nodes),
            self.architecture.final_time,
            p.opening.apply(self.x),
        )
        one, backend = replace(self.architecture, control_nodes=1, layers=1), get_backend("numpy")

        def F(t: float, Y: NDArray[np.float64]) -> NDArray[np.float64]:
            # The control grid's own rule is for rational times; here t is whatever SciPy asks for.
            place = min(max(t / T * grid.nodes, 0.0), grid.nodes - 1.0)
            j = min(int(place), grid.nodes - 1)
            w = place - j
            c, k = p.controls, min(j + 1, grid.nodes - 1)
            mixed = Controls(c.opening, *(((1 - w) * a[j] + w * a[k])[None] for a in (c.stencils, c.biases)))
            layer = next(iter(Propagation(one, mixed, backend).layers.values()))
            return layer.apply(Y.reshape(start.shape)).ravel()

        second = self.integrator == "leapfrog"
        state = np.concatenate([start.ravel(), 0 * start.ravel()]) if second else start.ravel()

        def rate(t: float, S: NDArray[np.float64]) -> NDArray[np.float64]:
            if not second:
                return F(t, S)
            y, v = np.split(S, 2)
            return np.concatenate([v, F(t, y)])

        # The controls have kinks at their nodes: no step of SciPy's may cross one.
        for k in range(grid.nodes):
            span = (k * T / grid.nodes, (k + 1) * T / grid.nodes)
            state = solve_ivp(rate, span, state, method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
        return state[: start.size].reshape(start.shape)
