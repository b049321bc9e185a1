"""One convolution, its transpose, its stencil gradient and one residual layer, shape by shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refmg import Convolution, named_activation
from refmg.dynamics import ResidualLayer
from refmg.integrators.forward_euler import EulerStep
from refmg_backends import Backend
from refmg_validation.bench.limits import share_of_limit
from refmg_validation.bench.timing import Timing, time_call
from refmg_validation.bench.torch_peer import TorchPeer

CHANNELS, GRIDS, EXAMPLES, DT = (8, 16, 32, 64), (14, 28, 56), 128, 0.1


def compare(
    ours: Callable[[], Any], peer: Callable[[], Any] | None, backend: Backend, wait: Callable[[], Any] | None
) -> tuple[Timing, Timing | None]:
    """Time two calls one after the other."""
    first = time_call(ours, backend.synchronize)
    return first, None if peer is None else time_call(peer, wait)


def kernel_cases(backend: Backend, peer: TorchPeer | None, dtype: str, limits: Any, quick: bool) -> Iterator:
    """Yield one row a channel count, grid and operation."""
    for channels in CHANNELS[:2] if quick else CHANNELS:
        for n in GRIDS[:1] if quick else GRIDS:
            yield from _case(backend, peer, dtype, limits, channels, n)


def _case(
    backend: Backend, peer: TorchPeer | None, dtype: str, limits: Any, channels: int, n: int
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    s = rng.normal(size=(channels, channels, 3, 3)).astype(dtype)
    y, z = (rng.normal(size=(channels, n, n, EXAMPLES)).astype(dtype) for _ in range(2))
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
    one = 2.0 * 9 * channels**2 * n * n * EXAMPLES
    for name, call in ours.items():
        count = 3 if name.startswith("layer") else 1
        mine, other = compare(call, theirs.get(name), backend, peer.wait if peer else None)
        # Each convolution reads one array of features and writes one; the gradient reads two.
        share = share_of_limit(mine.median, count * one, count * 2.0 * y.nbytes, limits)
        row = {"operation": name, "dtype": dtype, "channels": channels, "grid": n, "examples": EXAMPLES}
        row |= {"refmg": mine.as_dict(count * one), "share of limit": round(share, 3)}
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
