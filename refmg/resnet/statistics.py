"""Batch-norm statistics of other images than those of training."""

from __future__ import annotations

from collections.abc import Iterable

from refmg.resnet.network import ResNet
from refmg_backends.backend import Array


def reestimate_statistics(net: ResNet, batches: Iterable[Array]) -> ResNet:
    """Return the network with the statistics of these images; nothing else changes.

    Parameters
    ----------
    net : ResNet
    batches : iterable of array, shape (in_channels, n_1, n_2, m)
        Images on the network's own grid, host or backend, without labels; gone through once.

    Raises
    ------
    RefmgError
        If there is no image, or they do not fit.
    """
    raise NotImplementedError
