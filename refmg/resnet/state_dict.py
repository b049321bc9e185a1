"""From and to the state dict of a PyTorch ResNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from refmg.resnet.architecture import ResNetArchitecture
from refmg.resnet.network import ResNet, resnet_from_arrays
from refmg_backends import Backend

COUNT = "num_batches_tracked"


def to_state_dict(net: ResNet) -> dict[str, np.ndarray]:
    """Return NumPy arrays under the names of PyTorch's ResNet.

    Parameters
    ----------
    net : ResNet

    Returns
    -------
    dict of str to ndarray
        ``{k: torch.from_numpy(v) for k, v in ...}`` is what ``load_state_dict`` takes.
        ``num_batches_tracked`` is 0: nothing here depends on it.

    Examples
    --------
    >>> from refmg.resnet import random_resnet
    >>> net = random_resnet(ResNetArchitecture((8, 8), blocks=(1,), widths=(2,)), 0, backend="numpy")
    >>> list(to_state_dict(net))[:6]  # doctest: +NORMALIZE_WHITESPACE
    ['conv1.weight', 'bn1.weight', 'bn1.bias', 'bn1.running_mean', 'bn1.running_var',
     'bn1.num_batches_tracked']
    """
    arrays, state = net.as_arrays(), dict[str, np.ndarray]()
    for name in net.architecture.parameter_shapes:
        state[name] = np.array(arrays[name])
        norm, _, part = name.rpartition(".")
        if part == "bias" and norm != "fc":
            state |= {f"{norm}.{s}": np.array(arrays[f"{norm}.{s}"]) for s in ("running_mean", "running_var")}
            state[f"{norm}.{COUNT}"] = np.asarray(0)
    return state


def from_state_dict(
    architecture: ResNetArchitecture, state: Mapping[str, Any], backend: Backend | str | None = None
) -> ResNet:
    """Return the network of a PyTorch state dict.

    Parameters
    ----------
    architecture : ResNetArchitecture
    state : mapping of str to Tensor or ndarray
        Of a ResNet of basic blocks, its last layer called ``fc``; ``num_batches_tracked`` is left out.
    backend : Backend or str, optional
        ``REFMG_BACKEND``, else NumPy.

    Raises
    ------
    RefmgError
        If a name is missing or unknown, or a shape does not fit.

    Examples
    --------
    >>> from refmg.resnet import random_resnet
    >>> net = random_resnet(ResNetArchitecture((8, 8), blocks=(1,), widths=(2,)), 0, backend="numpy")
    >>> from_state_dict(net.architecture, to_state_dict(net), "numpy").dtype
    'float32'
    """
    arrays = {name: _host(x) for name, x in state.items() if not name.endswith(COUNT)}
    return resnet_from_arrays(architecture, arrays, backend)


def _host(x: Any) -> np.ndarray:
    # Tensors without importing torch: what has `detach` is one.
    return np.asarray(x.detach().cpu()) if hasattr(x, "detach") else np.asarray(x)
