"""The variables of a usual network: classifier weights that have taken up the cell volume."""

from __future__ import annotations

from refmg.classifier import Classifier
from refmg.network import Network
from refmg.parameters import Parameters
from refmg_backends.backend import Array


def usual_scale(network: Network) -> Array:
    """Return the factors from refmg's parameters to those that other codes train: ``h^d`` for W, else 1.

    Methods without second derivatives depend on the scale of their variables. W is a function on the
    grid, so its entries are ``h^-d`` times those of the matrix ``h^d W`` that a usual network would
    hold; trained as they are, W would hardly move.

    Parameters
    ----------
    network : Network
        Gives shapes and grid.

    Returns
    -------
    array
        In the order of ``Parameters.flat``.

    Examples
    --------
    >>> from refmg import Architecture, random_network
    >>> network = random_network(Architecture((4,), channels=1, layers=1, classes=2), 0, "numpy")
    >>> usual_scale(network)[-10:]
    array([0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 1.  , 1.  ])
    """
    xp, volume = network.backend.xp, network.architecture.grid.cell_volume
    W, mu = network.classifier.W, network.classifier.mu
    classifier = Classifier(volume * xp.ones_like(W), xp.ones_like(mu))
    return Parameters(network.controls.map(xp.ones_like), classifier).flat(xp)
