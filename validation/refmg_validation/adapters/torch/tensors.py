"""NumPy arrays to tensors and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor


def on_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function on tensors take and return NumPy arrays."""

    @wraps(function)
    def adapted(**inputs: Any) -> Any:
        found = function(**{name: _tensor(value) for name, value in inputs.items()})
        return tuple(_array(part) for part in found) if isinstance(found, tuple) else _array(found)

    return adapted


def _tensor(value: Any) -> Any:
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value


def _array(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, Tensor) else value


def axes(value: Any, ndim: int) -> tuple[int, ...]:
    """Return one whole number an axis, from one or from as many."""
    return tuple(int(v) for v in np.broadcast_to(np.asarray(value), (ndim,)))
