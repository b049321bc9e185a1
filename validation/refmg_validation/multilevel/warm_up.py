"""One iteration that is not measured: backends compile kernels when they first meet them."""

from __future__ import annotations

import numpy as np

from refmg import Architecture, random_network
from refmg.multilevel.settings import Settings, common
from refmg.optimization import Iteration, TrainingSettings, block_coordinate_descent


def warm_up(architecture: Architecture, settings: Settings, dtype: str) -> list[Iteration]:
    """Train a network of this architecture on one batch of noise, so that the first one timed is like others.

    Parameters
    ----------
    architecture : Architecture
        Of a level.
    settings : TrainingSettings, StochasticSettings or MultiscaleSettings
        Give the size of a batch.
    dtype : str
        Precision.

    Returns
    -------
    list of Iteration

    Examples
    --------
    >>> len(warm_up(Architecture((4, 4), channels=2, classes=2), TrainingSettings(), "float32"))
    2
    """
    m, rng = max(common(settings).batch_size, architecture.classes), np.random.default_rng(0)
    x = rng.normal(size=(architecture.in_channels, *architecture.shape, m)).astype(dtype)
    short = TrainingSettings(1, newton_steps=1, hessian_examples=m, cg_iterations=1, batch_size=m)
    network = random_network(architecture, 0, dtype=dtype)
    return list(block_coordinate_descent(network, x, np.arange(m) % architecture.classes, short))
