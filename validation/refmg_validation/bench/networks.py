"""The gradient of whole networks and one Gauss-Newton product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from refmg import Architecture, Network, random_network
from refmg.batches import Batch, Batches
from refmg.objective import NetworkObjective
from refmg_backends import Backend
from refmg_validation.bench.kernels import versus
from refmg_validation.bench.timing import time_call
from refmg_validation.bench.torch_peer import TorchPeer

DEPTHS = (2, 16, 64)
# Deeper than this, what PyTorch keeps of a linearised network is too much: 19 GB at 64 layers in float64.
MOST_LINEARISED = 16


@dataclass(frozen=True)
class Problem:
    """Sizes of a residual network on random images."""

    grid: int = 28
    channels: int = 16
    layers: int = 16
    examples: int = 128

    def make(self, backend: Backend, dtype: str) -> tuple[Network, np.ndarray, np.ndarray, Batch]:
        """Return a network, images and labels, and the same as a batch on the backend."""
        rng, n = np.random.default_rng(0), self.grid
        architecture = Architecture((n, n), channels=self.channels, layers=self.layers, classes=10)
        network = random_network(architecture, 0, backend, dtype)
        x = rng.normal(size=(1, n, n, self.examples)).astype(dtype)
        labels = rng.integers(0, 10, self.examples)
        return network, x, labels, Batches(x, labels, 10, self.examples, backend, dtype)[0]


def network_cases(backend: Backend, peer: TorchPeer | None, dtype: str, quick: bool) -> Iterator[dict]:
    """Yield gradient and Gauss-Newton product, one row a depth; of the deepest network the gradient alone."""
    for layers in DEPTHS[:1] if quick else DEPTHS:
        network, x, labels, batch = Problem(layers=layers).make(backend, dtype)
        objective = NetworkObjective(network, [batch])
        vector = objective.vector(network)
        product = objective.gauss_newton(vector)
        theirs = {} if peer is None else peer.network(network, x, labels, layers <= MOST_LINEARISED)
        ours = {
            "gradient": lambda objective=objective, vector=vector: objective.value_and_gradient(vector),
            "Gauss-Newton product": lambda product=product, vector=vector: product(vector),
        }
        if layers > MOST_LINEARISED:
            del ours["Gauss-Newton product"]
        for name, call in ours.items():
            mine = time_call(call, backend.synchronize)
            other = time_call(theirs[name], peer.wait) if peer is not None else None
            row = {"operation": name, "dtype": dtype, "layers": layers, "channels": 16, "grid": 28}
            yield row | {"examples": 128, "refmg": mine.as_dict()} | versus(mine, other, peer, None)
