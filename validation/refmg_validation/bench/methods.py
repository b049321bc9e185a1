"""Every way of computing a convolution that a backend knows, timed beside the one it chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refmg_backends import Backend, Geometry
from refmg_backends.cuda_choice import Shape, convolution_seconds, gradient_seconds
from refmg_validation.bench.timing import time_call

# Entries of explicit matrices above which they are not timed: they would take minutes to assemble.
MOST_ENTRIES = 4_000_000
Found = dict[str, dict[str, Any]]


def time_methods(backend: Backend, s: Any, Y: Any, Z: Any, geometry: Geometry) -> Found:
    """Return, for each operation, the chosen way, and milliseconds measured and predicted of each way.

    Parameters
    ----------
    backend : Backend
        Any; the result is empty unless it has several ways.
    s : array, shape (C_out, C_in, k_1, .., k_d)
        Stencil.
    Y : array, shape (C_in, cells, m)
        Features before the convolution.
    Z : array, shape (C_out, out_cells, m)
        Features behind it.
    geometry : Geometry
        Grid, width, boundary and stride.
    """
    if not hasattr(backend, "by"):
        return {}
    kernel, dtype, m = backend.convolution(s, geometry), Y.dtype.name, Y.shape[-1]
    shapes: list[Shape] = [kernel.shape(m), kernel.shape(m, transposed=True)]  # type: ignore[attr-defined]
    predicted = [convolution_seconds(shape, dtype, backend.tf32) for shape in shapes]
    predicted.append(gradient_seconds(shapes[0], dtype, backend.tf32))
    chosen = backend.chosen(kernel, Y, Z)  # type: ignore[attr-defined]
    found: Found = {name: {"chosen": way} for name, way in chosen.items()}
    for method in ("direct", "gemm", *_explicit(s, geometry)):
        for (name, call), seconds in zip(
            _calls(backend.by(method), s, Y, Z, geometry), predicted, strict=True
        ):
            if method == "explicit" and name == "stencil gradient":
                continue  # there is none
            timing = time_call(call, backend.synchronize).as_dict(shapes[0].flops)
            ideal = {"predicted ms": round(1e3 * seconds[method], 4)} if method in seconds else {}
            found[name][method] = timing | ideal
    return found


def _explicit(s: Any, geometry: Geometry) -> list[str]:
    entries = s.shape[0] * s.shape[1] * geometry.taps * geometry.out_cells
    return ["explicit"] if entries <= MOST_ENTRIES else []


def _calls(backend: Any, s: Any, Y: Any, Z: Any, geometry: Geometry) -> list[tuple[str, Callable[[], Any]]]:
    kernel = backend.convolution(s, geometry)
    return [
        ("convolve", lambda: kernel.apply(Y)),
        ("transpose", lambda: kernel.apply_transpose(Z)),
        ("stencil gradient", lambda: backend.stencil_gradient(Y, Z, geometry)),
    ]
