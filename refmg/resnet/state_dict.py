"""From and to the state dict of a PyTorch ResNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from refmg.resnet.architecture import ResNetArchitecture
from refmg.resnet.network import ResNet
from refmg_backends import Backend


def to_state_dict(net: ResNet) -> dict[str, np.ndarray]:
    """Return NumPy arrays under the names of PyTorch's ResNet, ``num_batches_tracked`` among them."""
    raise NotImplementedError


def from_state_dict(
    architecture: ResNetArchitecture, state: Mapping[str, Any], backend: Backend | str | None = None
) -> ResNet:
    """Return the network of a PyTorch state dict, tensors or NumPy arrays."""
    raise NotImplementedError
