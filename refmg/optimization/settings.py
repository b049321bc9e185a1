"""How to train by second-order steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from refmg.batches import Batches
from refmg.losses import as_targets, check_training_labels, named_loss
from refmg.network import Network
from refmg.optimization.numbers import check_whole
from refmg.regularization import Regularization
from refmg.trajectory import check_storage

COUNTS = ("newton_steps", "hessian_examples", "cg_iterations", "newton_cg_iterations", "batch_size")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Parameters
    ----------
    iterations : int
        Of block coordinate descent; the paper takes 20.
    newton_steps : int
        Of the classifier in each iteration; the paper takes 5.
    hessian_examples : int
        Size of the subsample for the Gauss-Newton matrix, drawn anew each iteration.
    cg_iterations, cg_tolerance
        For the Gauss-Newton step.
    newton_cg_iterations, newton_cg_tolerance
        For each Newton step of the classifier.
    batch_size : int
        Examples propagated at a time; changes memory and speed, not the method.
    regularization : Regularization
        Weights of the regularisers.
    seed : int
        Of the initial stencils and of the subsamples.
    loss : str
        See :func:`refmg.losses.named_loss`.
    storage : {"all", "checkpoint", "reversible"}
        What each batch keeps for its sensitivities.

    Raises
    ------
    RefmgError
        If a number is out of range or a name unknown.
    """

    iterations: int = 20
    newton_steps: int = 5
    hessian_examples: int = 1000
    cg_iterations: int = 10
    cg_tolerance: float = 1e-2
    newton_cg_iterations: int = 10
    newton_cg_tolerance: float = 1e-2
    batch_size: int = 128
    regularization: Regularization = field(default_factory=Regularization)
    seed: int = 0
    loss: str = "softmax"
    storage: str = "all"

    def __post_init__(self) -> None:
        """Refuse numbers that make no method."""
        check_whole(self, COUNTS, 1)
        check_whole(self, ("iterations", "seed"), 0)
        named_loss(self.loss)
        check_storage(self.storage)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def training_batches(network: Network, x: np.ndarray, labels: np.ndarray, batch_size: int) -> Batches:
    """Return training examples in batches.

    Parameters
    ----------
    network : Network
        Gives classes, backend and precision.
    x : ndarray, shape (C_in, n_1, .., n_d, m)
        Images on the host.
    labels : ndarray, shape (m,) of int, or (classes, m) one-hot
        Their classes.
    batch_size : int
        Examples a batch.

    Returns
    -------
    Batches

    Raises
    ------
    RefmgError
        If labels are no labels of these classes, or some class has no example.
    """
    classes = network.architecture.classes
    check_training_labels(as_targets(labels, classes))
    return Batches(x, labels, classes, batch_size, network.backend, network.dtype)
