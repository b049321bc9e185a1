"""One convolution, its transpose, its stencil gradient and one residual layer, shape by shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from refmg import Convolution, named_activation
from refmg.dynamics import ResidualLayer
from refmg.integrators.forward_euler import EulerStep
from refmg_backends import Backend
from refmg_validation.bench.limits import share_of_limit
from refmg_validation.bench.methods import time_methods
from refmg_validation.bench.shapes import KernelShape
from refmg_validation.bench.timing import Timing, time_call
from refmg_validation.bench.torch_peer import TorchPeer

DT = 0.1


def compare(
    ours: Callable[[], Any], peer: Callable[[], Any] | None, backend: Backend, wait: Callable[[], Any] | None
) -> tuple[Timing, Timing | None]:
    """Time two calls one after the other."""
    first = time_call(ours, backend.synchronize)
    return first, None if peer is None else time_call(peer, wait)


def kernel_cases(
    backend: Backend, peer: TorchPeer | None, dtype: str, limits: Any, shapes: Iterable[KernelShape]
) -> Iterator[dict[str, Any]]:
    """Yield one row a shape and operation."""
    for shape in shapes:
        yield from _case(backend, peer, dtype, limits, shape)


def _case(
    backend: Backend, peer: TorchPeer | None, dtype: str, limits: Any, shape: KernelShape
) -> Iterator[dict[str, Any]]:
    channels, n, examples = shape.channels, shape.grid, shape.examples
    rng = np.random.default_rng(0)
    s = rng.normal(size=(channels, channels, 3, 3)).astype(dtype)
    y, z = (rng.normal(size=(channels, n, n, examples)).astype(dtype) for _ in range(2))
    K = Convolution(backend.asarray(s), (n, n), backend=backend).prepare()
    Y, Z = backend.asarray(y), backend.asarray(z)
    layer = ResidualLayer(K, backend.asarray(np.zeros(channels), dtype), named_activation("tanh"))
    ours: dict[str, Callable[[], Any]] = {
        "convolve": lambda: K.apply(Y),
        "transpose": lambda: K.apply_transpose(Z),
        "stencil gradient": lambda: K.stencil_gradient(Y, Z),
        "layer, forward and adjoint": lambda: step_and_adjoint(layer, Y, Z),
    }
    theirs: dict[str, Any] = {} if peer is None else peer.kernels(s, y, z)
    if peer is not None:
        theirs["layer, forward and adjoint"] = peer.layer(s, y, z, DT)
    one = 2.0 * 9 * channels**2 * n * n * examples
    before, behind = (backend.xp.reshape(X, (channels, n * n, examples)) for X in (Y, Z))
    methods = time_methods(backend, K.stencil, before, behind, K.geometry)
    for name, call in ours.items():
        count = 3 if name.startswith("layer") else 1
        mine, other = compare(call, theirs.get(name), backend, peer.wait if peer else None)
        # Each convolution reads one array of features and writes one; the gradient reads two.
        share = share_of_limit(mine.median, count * one, count * 2.0 * y.nbytes, limits)
        row = {"operation": name, "dtype": dtype, "channels": channels, "grid": n, "examples": examples}
        row |= {"refmg": mine.as_dict(count * one), "share of limit": round(share, 3)}
        row |= {"methods": methods[name]} if name in methods else {}
        yield row | versus(mine, other, peer, count * one)


def versus(mine: Timing, other: Timing | None, peer: TorchPeer | None, flops: float | None) -> dict[str, Any]:
    """Return what is recorded of the peer: its timing and the ratio of times."""
    if peer is None or other is None:
        return {}
    return {"torch": other.as_dict(flops), "refmg / torch": round(mine.median / other.median, 3)}


def step_and_adjoint(layer: ResidualLayer, Y: Any, P: Any) -> Any:
    """Return the adjoint of one Euler step, states and gradients, after computing the step."""
    step = EulerStep(DT)
    return step.adjoint(step.linearize([layer], Y)[1], P)
